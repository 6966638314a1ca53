"""Clustering a generator that no config names: whatever :func:`toolbox.load_generator` reads.

The settings are those of ``configs/_base_/klish.py``, with the layers of table II's rule.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from toolbox.config import ConfigError, kept_file, load_config
from toolbox.interfaces import Generator
from toolbox.runs.kept import kept_config
from toolbox.source_tree import linked_folder
from toolbox.weights.sources import is_elsewhere
from toolbox_klish.runs.choices import Choices
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import COMMAND, KEYS, checked, read_config

FINAL = 20  # K where neither the person nor --quick names one: the least that Table IV has for all generators
_WEIGHTS = (".pkl", ".pth", ".pt", ".safetensors", ".bin")


def is_generator(name: Any) -> bool:
    """Whether a name is that of a file, folder or address, which is to hold a generator.

    What ends in ``.py`` is a config; so is a ``.json``, unless it is the card of weights beside it.
    """
    if not isinstance(name, (str, Path)):
        return False
    path = Path(name)
    if path.suffix == ".json":
        return path.with_suffix(".safetensors").is_file()
    return is_elsewhere(name) or (path.exists() and path.suffix != ".py")


def read(
    name: str | Path,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    choices: Choices | None = None,
) -> Any:
    """The config of a name: one that was written, or the standard one for a generator's file or folder.

    Arguments as of :func:`toolbox_klish.runs.settings.read_config`.

    Raises:
        ConfigError: for what is neither, or cannot be used.
    """
    if is_generator(name):
        return _standard(name, quick, options or {}, plugins, choices or Choices())
    if Path(name).suffix in _WEIGHTS:
        raise ConfigError(f"{name} is not there: neither a file with a generator nor a config")
    return read_config(name, quick, options, plugins, choices)


def name_of(name: str | Path) -> str:
    """What a fit of a config, or of a generator, is called."""
    if not is_generator(name):
        return Path(name).stem
    if is_elsewhere(name):  # hf://ORG/REPO/FILE@REVISION, https://HOST/FILE#sha256=HEX, <plugin>:FILE
        return f"klish_{PurePosixPath(re.split('[#@?]', str(name))[0].replace(':', '/')).stem}"
    path = Path(name).absolute()
    stem = path.name if path.is_dir() else path.stem
    in_run = kept_file(path.parent) is not None  # a checkpoint's own name says little
    return f"klish_{path.parent.name}_{stem}" if in_run else f"klish_{stem}"


def settle(run: ClusterRun, choices: Choices, options: Mapping[str, Any]) -> None:
    """What the generator decides where nobody else did: maps no larger than its images, truncation.

    Truncation acts on w; where a generator has none, images are drawn without it, as in the configs of such
    generators.
    """
    features = run.config.features
    if choices.size is None and "features.size" not in options:
        features.size = min(features.size, run.generator.image_size)
    free = choices.truncation is None and "features.truncation" not in options
    if free and type(run.generator).truncated is Generator.truncated:
        features.truncation = 1.0


def _standard(
    name: str | Path,
    quick: bool,
    options: Mapping[str, Any],
    plugins: Sequence[str | Path],
    choices: Choices,
) -> Any:
    base = linked_folder(Path(__file__).parents[1] / "configs") / "_base_" / "klish.py"
    config = load_config(base, quick, options, plugins, command=COMMAND, keys=KEYS)
    config.title = f"Clusters of {name_of(name).removeprefix('klish_')}"
    config.generator = _source(name)
    if config.get("final") is None:
        config.final = FINAL
    return checked(config, name, _with_room(config, choices))


def _source(name: str | Path) -> dict[str, str]:
    """The ``generator`` of a config: where a file or folder lies, from wherever it is asked for."""
    if is_elsewhere(name):
        return {"weights": str(name)}
    path = Path(name).absolute()
    _refuse_clusters(path)
    if path.suffix == ".json":  # a card stands for the file that it describes
        path = path.with_suffix(".safetensors")
    return {"run" if path.is_dir() else "weights": str(path)}


def _refuse_clusters(path: Path) -> None:
    kept = kept_config(path) if path.is_dir() else None
    if kept is not None and kept.get("command") == COMMAND:
        raise ConfigError(
            f"{path} is a clustering run, which holds no generator: draw it with `toolbox klish draw "
            f"{path}`, or go on with the fit by its config or file, --resume and --work-dir"
        )


def _with_room(config: Any, choices: Choices) -> Choices:
    """Where few first clusters were chosen, numbers to show that were not chosen stay below them."""
    first = choices.clusters
    if first is None:
        return choices
    final = choices.final or min(config.final, max(first // 2, 1))
    shown = choices.shown or [k for k in config.shown if k < first] or [final]
    return dataclasses.replace(choices, final=final, shown=shown)
