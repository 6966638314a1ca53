"""The components of a config: names and arguments, compared with what will be built from them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_known, check_types
from toolbox.config import ConfigError
from toolbox.registry import BuildError, accepted, check, is_filled

#: Arguments that are no components but the arguments of a function: {component: {argument:
#: 'module:function'}}.
_PLAIN: dict[str, dict[str, tuple[str, ...]]] = {
    "Stream": {"split": ("toolbox.data.split:make_split", "toolbox.data.split:draw_split")},
    "CaptionStream": {"split": ("toolbox.data.split:make_split", "toolbox.data.split:draw_split")},
    "LabelPairs": {"split": ("toolbox.data.split:make_split", "toolbox.data.split:draw_split")},
    "CaptionedImages": {"sources": ("toolbox.data.captioned:CaptionSource",)},
    "ProgressiveGrowing": {"growth": ("toolbox.training.hooks.growing:Growth",)},
    "GrowingBatches": {"growth": ("toolbox.training.hooks.growing:Growth",)},
}


def check_component(
    config: Any, kind: str | None, where: str, filled: Iterable[str] = (), besides: Iterable[str] = ()
) -> None:
    """A component's name, its arguments' names and types, and those of the components among its arguments.

    Args:
        config: ``dict(type=...)``; anything but a dict is left alone.
        kind: the kind needed; None = any.
        where: dotted path of the key, for the message.
        filled: arguments that the toolbox fills in itself, which a config may not.
        besides: keys that are known at this place and no arguments of the component.

    Raises:
        BuildError: for an unknown name or argument, with the near miss.
        ConfigError: for a value of the wrong type.
    """
    if not isinstance(config, Mapping):
        return
    component = check({"type": config["type"]} if "type" in config else config, kind, where)
    _check_names(config, component, besides, where)
    own = {key: value for key, value in config.items() if key not in besides}
    for key in filled:
        if key in own:
            raise ConfigError(f"{where}.{key} is filled in by the toolbox and may not be set")
    check_types({key: value for key, value in own.items() if key != "type"}, component, where)
    plain = _PLAIN.get(str(config["type"]), {})
    for key, value in own.items():
        if key in plain:
            _check_plain(value, plain[key], f"{where}.{key}")
        else:
            check_inside(value, f"{where}.{key}")


def _check_names(config: Mapping[str, Any], component: Any, besides: Iterable[str], where: str) -> None:
    known = accepted(component)
    if known is None:
        return
    names = [*known, *besides]
    if "weights" not in names and is_filled(component, config["type"]):
        names.append("weights")  # which its constructor does not know
    for key in config:
        if key not in (*names, "type"):
            hint = near_miss(key, [*names, "type"])
            raise BuildError(
                f"{where}: {config['type']} has no argument {key!r}{hint}; it has: {', '.join(names)}"
            )


def check_inside(value: Any, where: str) -> None:
    """Whatever components are inside a value."""
    if isinstance(value, Mapping):
        if "type" in value:
            check_component(value, None, where)
        else:
            for key, inner in value.items():
                check_inside(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            check_inside(inner, f"{where}.{number}")


def _check_plain(value: Any, addresses: Sequence[str], where: str) -> None:
    from mmengine.utils import get_object_from_string

    if isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            _check_plain(inner, addresses, f"{where}.{number}")
    elif isinstance(value, Mapping):
        functions = [get_object_from_string(address.replace(":", ".")) for address in addresses]
        names: set[str] = set()
        for function in functions:
            parameters = inspect.signature(function).parameters.values()
            names |= {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
        check_known(value, sorted(names - {"source"}), where)
        for function in functions:
            check_types(value, function, where)
        check_inside(dict(value), where)
