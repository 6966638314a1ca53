"""Where weights may be: a file, a plugin's own file, or an address, fetched once and kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from toolbox.catalog import near_miss
from toolbox.plugins import host
from toolbox.weights.card import file_sha256
from toolbox.weights.errors import WeightsError, reason

#: In words, for messages.
FORMS = "FILE, FOLDER, '<plugin>:FILE', 'https://...#sha256=...', 'hf://ORG/REPO/FILE@REVISION'"
_ADDRESS = re.compile(r"(https?|hf)://", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][\w.+-]*://")
_OF_A_PLUGIN = re.compile(r"([A-Za-z_]\w+):(?!//)(.+)")  # two letters at least: 'C:' is a drive
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_elsewhere(source: Any) -> bool:
    """Whether a source is more than the path of a file: an address, a plugin's file, ``dict(url=...)``."""
    if isinstance(source, Mapping):
        return "url" in source
    return isinstance(source, str) and bool(_SCHEME.match(source) or _plugin_of(source))


def local_path(source: Any, tell: Callable[[str], None] = lambda line: None) -> Path:
    """The path of a source; what has an address is fetched, unless it is there already.

    Args:
        source: a path; ``'<plugin>:FILE'``, a file in the folder of the plugin's module;
            ``'https://HOST/FILE#sha256=HEX'``; ``'hf://ORG/REPO/FILE@REVISION#sha256=HEX'``; or
            ``dict(url=..., sha256=...)``.
        tell: gets a line with the sha256 of a file that is fetched and has none in its address.

    Raises:
        WeightsError: for an address that cannot be read or reached (it says what to fetch and where to put
            it), an unknown plugin (with the near miss), or another sha256 than the one given.
    """
    if isinstance(source, Mapping):
        source, given = _of_mapping(source)
    else:
        given = None
    if not isinstance(source, (str, Path)):
        raise WeightsError(f"weights={source!r} must be one of: {FORMS}")
    if isinstance(source, str) and _SCHEME.match(source):
        return _fetched(source, given, tell)
    plugin = _plugin_of(str(source))
    return _in_plugin(*plugin) if plugin else Path(source)


def _of_mapping(source: Mapping[str, Any]) -> tuple[Any, str | None]:
    for key in source:
        if key not in ("url", "sha256"):
            hint = near_miss(str(key), ("url", "sha256"))
            raise WeightsError(f"weights={dict(source)!r}: unknown key {key!r}{hint}; known: url, sha256")
    return source.get("url"), source.get("sha256")


def _plugin_of(source: str) -> tuple[str, str] | None:
    """(plugin, file) of ``'<plugin>:FILE'``; a file that is there counts before it."""
    match = _OF_A_PLUGIN.fullmatch(source)
    return (match[1], match[2]) if match and not Path(source).exists() else None


def _in_plugin(plugin: str, file: str) -> Path:
    try:
        folder = host().folder_of(plugin)
    except KeyError as error:
        raise WeightsError(f"weights={f'{plugin}:{file}'!r}: {error.args[0]}") from None
    return folder / file


# Addresses


def _fetched(address: str, given: str | None, tell: Callable[[str], None]) -> Path:
    if not _ADDRESS.match(address):
        raise WeightsError(f"weights={address!r}: only http, https and hf addresses are fetched")
    plain, wanted = _split_digest(address, given)
    path, is_new = _from_hub(plain) if plain.lower().startswith("hf://") else _from_web(plain)
    found = file_sha256(path) if wanted or is_new else ""
    if wanted and found != wanted:
        if is_new:
            path.unlink()
        raise WeightsError(
            f"{plain} gave a file of sha256 {found}, not {wanted}: "
            + ("it was removed again" if is_new else f"remove {path} to fetch it again")
            + "; correct the sha256 only if you trust the file"
        )
    if is_new and not wanted:
        tell(f"{plain} has sha256 {found}: write weights='{plain}#sha256={found}' to have it checked")
    return path


def _split_digest(address: str, given: str | None) -> tuple[str, str]:
    """The address without its ``#sha256=...``, and the digest, '' where none is given."""
    plain, _, fragment = address.partition("#")
    if fragment and not fragment.startswith("sha256="):
        raise WeightsError(f"weights={address!r}: after # only sha256=HEX is understood")
    wanted = str(given or fragment.removeprefix("sha256=")).lower()
    if wanted and not _SHA256.fullmatch(wanted):
        raise WeightsError(f"weights={plain!r}: sha256={wanted!r} must be 64 hex digits")
    return plain, wanted


def _from_web(address: str) -> tuple[Path, bool]:
    """The file of a web address in torch's cache, and whether it was fetched just now."""
    import torch

    name = PurePosixPath(unquote(urlsplit(address).path)).name or "weights"
    key = hashlib.sha256(address.encode()).hexdigest()[:12]  # two addresses may end in one name
    path = Path(torch.hub.get_dir()) / "checkpoints" / f"{key}-{name}"
    if path.is_file():
        return path, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), progress=False)
    except Exception as error:  # of urllib, http, ssl, the file system
        raise WeightsError(
            f"{address} cannot be fetched ({reason(error)}): fetch it where there is a network, and put it "
            f"at {path}, or name your copy with weights=FILE"
        ) from error
    return path, True


def _from_hub(address: str) -> tuple[Path, bool]:
    """The file of an ``hf://`` address in the cache of huggingface_hub, and whether it was fetched now."""
    import huggingface_hub

    parts = address[len("hf://") :].split("/", 2)
    if len(parts) < 3 or not all(parts):
        raise WeightsError(f"weights={address!r} must read 'hf://ORG/REPO/FILE@REVISION'")
    file, _, revision = parts[2].partition("@")
    where: dict[str, Any] = dict(repo_id="/".join(parts[:2]), filename=file, revision=revision or None)
    try:
        cached = huggingface_hub.try_to_load_from_cache(**where)
        if isinstance(cached, str):
            return Path(cached), False
        return Path(huggingface_hub.hf_hub_download(**where)), True
    except Exception as error:  # of the library, the network, the file system
        web = f"https://huggingface.co/{where['repo_id']}/resolve/{revision or 'main'}/{file}"
        raise WeightsError(
            f"{address} is not in this machine's cache and cannot be fetched ({reason(error)}): fetch {web} "
            "where there is a network, and name your copy with weights=FILE"
        ) from error
