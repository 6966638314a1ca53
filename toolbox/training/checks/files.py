"""The files that a config needs: all that are missing at once, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolbox.config.errors import ConfigError


def check_files(config: Mapping[str, Any]) -> None:
    """Raise ConfigError naming every file of ``files`` that the config still uses and that is not there.

    Args:
        config: a config with ``files={path: where it comes from}``, or without. A path that no other value
            of the config names any more, as with ``--quick``, is not asked for.
    """
    files = config.get("files") or {}
    if not isinstance(files, Mapping) or not all(isinstance(words, str) for words in files.values()):
        raise ConfigError(f"files={files!r} must be a dict {{file: where it comes from}}")
    used = set(_strings({key: value for key, value in config.items() if key != "files"}))
    missing = [
        f"{file} ({words})" for file, words in files.items() if file in used and not Path(file).exists()
    ]
    if missing:
        are = "a file is" if len(missing) == 1 else f"{len(missing)} files are"
        raise ConfigError(
            f"{are} missing: {'; '.join(missing)}. Put them there, name yours with --cfg-options, or try the "
            "config with --quick"
        )


def _strings(value: Any) -> Iterator[str]:
    """All text values inside of a config."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
