"""Generators and teachers by a name, a file or a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.interfaces import Generator, Segmenter
from toolbox.registry import BuildError, build


def generator_of(text: str, device: str) -> tuple[str, Generator]:
    """Name and network of 'NAME=SOURCE' or SOURCE: a registered generator, a file, a run's folder.

    Raises:
        ConfigError: for what is none of these, or has no feature layers.
    """
    from toolbox.loading import load_generator

    name, _, source = text.rpartition("=")
    try:
        made = load_generator(source) if _is_place(source) else build(dict(type=source), "generator")
    except (BuildError, OSError, ValueError) as error:
        raise ConfigError(f"generator {source!r}: {error}") from error
    if not made.feature_layers:
        raise ConfigError(f"generator {source!r}: {type(made).__name__} has no feature layers to read")
    return name or _short(source), made.to(device).eval().requires_grad_(False)


def teacher_of(source: str, device: str, network: str = "segmenter") -> Segmenter:
    """A registered segmenter, a JSON file of its config ({"type": ...}), or a run that trained one.

    Raises:
        ConfigError: for what is none of these.
    """
    try:
        made = _teacher(source, network)
    except (BuildError, OSError, ValueError) as error:
        raise ConfigError(f"teacher {source!r}: {error}") from error
    if not isinstance(made, Segmenter):
        raise ConfigError(f"teacher {source!r} is a {type(made).__name__}, which is no segmenter")
    return made.to(device).eval().requires_grad_(False)


def _teacher(source: str, network: str) -> Any:
    from toolbox.loading import load_game
    from toolbox.weights.plain_json import read_json

    if source.endswith(".json"):
        return build(read_json(source), "segmenter", source)
    if _is_place(source):
        return load_game(source).network(network, averaged=True)
    return build(dict(type=source), "segmenter")


def _is_place(source: str) -> bool:
    return Path(source).exists() or "/" in source or Path(source).suffix != ""


def _short(source: str) -> str:
    path = Path(source)
    return path.stem if _is_place(source) else source
