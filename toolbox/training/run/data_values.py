"""What a config leaves to its data set, so that it fits any."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.data.no_images import NoImages
from toolbox.registry import Config, accepted, check

_OF_DATA = "data:"
_OF_CONDITIONER = "conditioner:"


def fill_from_data(model: Config, stream: Any) -> dict[str, Any]:
    """A game's config with the values that are known once its data are: strings that begin with

    ``'data:'``: ``classes`` (names), ``n_classes``, ``part_names`` and ``n_parts`` (of the masks),
    ``n_tokens`` (of the captions' vocabulary), ``n_conditions`` (rows of conditions, as many as the
    conditioner says: classes, or clusters of all classes);
    ``'conditioner:'``: an argument of the conditioner, such as ``clusters``.

    Raises:
        ConfigError: for one that is not known, with the near miss; a game without images has no data.
    """
    known: dict[str, Any] = {} if isinstance(stream, NoImages) else _of_stream(stream)
    conditioner = model.get("conditioner")
    if conditioner:
        arguments = _arguments(conditioner)
        known |= {f"{_OF_CONDITIONER}{name}": value for name, value in arguments.items()}
        if not isinstance(stream, NoImages):
            known["data:n_conditions"] = count_conditions(conditioner, known["data:classes"])
    try:
        filled: dict[str, Any] = _filled(model, known)
    except ConfigError as error:
        cause = "; train_dataloader.dataset=None gives no data" if isinstance(stream, NoImages) else ""
        raise ConfigError(f"{error}{cause}") from None
    return filled


def _of_stream(stream: Any) -> dict[str, Any]:
    source = getattr(stream, "source", None)
    classes = list(getattr(source, "classes", ()))
    known: dict[str, Any] = {
        "data:classes": classes,
        "data:n_classes": len(classes),
        "data:part_names": list(getattr(source, "part_names", ())),
        "data:n_parts": len(getattr(source, "part_names", ())),
        "data:n_conditions": len(classes),
    }
    tokens = getattr(stream, "tokens", None)  # of a CaptionStream
    if tokens is not None:
        known["data:n_tokens"] = len(tokens)
    return known


def count_conditions(conditioner: Config, classes: Sequence[str]) -> int:
    """Rows of conditions that a conditioner's networks need, as its config says."""
    own = {name: value for name, value in conditioner.items() if name != "uses"}
    counted = check(own, "conditioner", "model.conditioner").count_conditions
    try:
        return int(counted(classes, **_arguments(conditioner)))
    except ValueError as error:
        raise ConfigError(f"model.conditioner: {error}") from error


def leaves_to_data(value: Any) -> bool:
    """Whether anything inside is left to the data set."""
    if isinstance(value, Mapping):
        return any(map(leaves_to_data, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(leaves_to_data, value))
    return isinstance(value, str) and value.startswith((_OF_DATA, _OF_CONDITIONER))


def _arguments(config: Config) -> dict[str, Any]:
    """A component's arguments: those of the config, and defaults of its constructor."""
    parameters = accepted(check({"type": config["type"]})) or {}
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    given = {name: value for name, value in config.items() if name not in ("type", "uses")}
    return {**defaults, **given}


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(item, known) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, known) for item in value]
    if not leaves_to_data(value):
        return value
    if value not in known:
        raise ConfigError(f"{value!r} is not known{near_miss(value, known)}; known: {', '.join(known)}")
    return known[value]
