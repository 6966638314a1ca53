"""Names and types of what a config gives, compared with the signatures of what will be built from it."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.registry import accepted

_SCALARS = (str, bool, int, float)
_JUDGED = {str, bool, int, float, list, tuple, dict, set, Sequence, Mapping, Iterable, Path, type(None)}
_LISTS = {list, tuple, set, Sequence, Iterable}
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "True or False",
    type(None): "None",
    dict: "a dict",
    Mapping: "a dict",
    list: "a list",
    Sequence: "a list",
}
_FILLED_LATER = ("data:", "conditioner:")  # beginnings of values that are taken from the data set


def check_call(
    arguments: Mapping[str, Any],
    function: Any,
    where: str,
    besides: Iterable[str] = (),
    filled: Iterable[str] = (),
) -> None:
    """The keys of a dict as arguments of a function or class.

    Args:
        arguments: the dict.
        function: what will be called with it.
        where: dotted path of the key, for the message.
        besides: keys that mean something else there.
        filled: arguments that the toolbox fills in.

    Raises:
        ConfigError: for an unknown key, with the near miss, or a value of the wrong type.
    """
    left_out = (*filled, *besides)
    own = [name for name in accepted(function) or () if name not in left_out]
    check_known(arguments, [*own, *besides], where)
    check_types({key: value for key, value in arguments.items() if key not in besides}, function, where)


def check_known(keys: Any, known: Iterable[str], where: str) -> None:
    """Every key is a known one.

    Raises:
        ConfigError: naming the key, the near miss, and what there is.
    """
    if not isinstance(keys, Mapping):
        raise ConfigError(f"{where}={keys!r} must be a dict")
    names = list(known)
    for key in keys:
        if key not in names:
            raise ConfigError(
                f"{where} has no key {key!r}{near_miss(str(key), names)}; it has: {', '.join(names)}"
            )


def check_types(arguments: Mapping[str, Any], function: Any, where: str) -> None:
    """Numbers, strings and truth values against the annotations.

    Raises:
        ConfigError: naming the argument, the value and what is expected.
    """
    hints = _hints(function)
    for key, value in arguments.items():
        if value is None and _is_none_by_default(function, key):
            continue
        if key in hints and not _fits(value, hints[key]):
            name = getattr(function, "__name__", str(function))
            expected = f"{name} expects {_in_words(hints[key])}"
            if isinstance(value, (list, tuple)) and _kinds(hints[key]) & _LISTS:
                raise ConfigError(f"{where}.{key}={value!r}: {expected} of other entries: {hints[key]}")
            raise ConfigError(f"{where}.{key}={value!r}: {expected}, not a {type(value).__name__}")


def check_type(value: Any, hint: Any, where: str) -> None:
    """One value against one annotation (see :func:`check_types`)."""
    if not _fits(value, hint):
        raise ConfigError(f"{where}={value!r} must be {_in_words(hint)}, not a {type(value).__name__}")


@functools.cache
def _hints(function: Any) -> dict[str, Any]:
    if not isinstance(function, type):
        return _hints_of(function)
    found: dict[str, Any] = {}
    for base in function.__mro__:
        if "__init__" in vars(base) and base is not object:
            found = {**_hints_of(vars(base)["__init__"]), **found}
    return found


def _hints_of(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # a third party's annotations may name what is not imported: no types to check then
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value can be meant by an annotation; what cannot be judged fits."""
    if isinstance(value, str) and value.startswith(_FILLED_LATER):
        return True
    kinds = _kinds(hint)
    if not kinds <= _JUDGED:
        return True
    if value is None:
        return type(None) in kinds
    if isinstance(value, (list, tuple)):
        return bool(kinds & _LISTS) and any(_entries_fit(value, part) for part in _parts(hint))
    if isinstance(value, Mapping):
        return bool(kinds & {dict, Mapping, Iterable})
    if not isinstance(value, _SCALARS):
        return True
    if isinstance(value, str):
        return bool(kinds & {str, Path})
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int):
        return bool(kinds & {int, float}) or (bool in kinds and value in (0, 1))
    return float in kinds or (int in kinds and value.is_integer())


def _entries_fit(values: Sequence[Any], hint: Any) -> bool:
    """Those of a list against what ``list[...]`` or ``tuple[...]`` says of them."""
    if (get_origin(hint) or hint) not in _LISTS:
        return False
    inner = get_args(hint)
    if get_origin(hint) is tuple and inner[-1:] != (...,):
        return len(values) == len(inner) and all(map(_fits, values, inner))
    # what is wrong inside lists of other things is said better elsewhere
    judged = bool(inner) and _kinds(inner[0]) <= {*_SCALARS, type(None)}
    return not judged or all(_fits(value, inner[0]) for value in values)


def _kinds(hint: Any) -> set[Any]:
    return {get_origin(part) or part for part in _parts(hint)} - {torch.Tensor}


def _is_none_by_default(function: Any, name: str) -> bool:
    """Whether an argument may be None although its annotation does not say so (mmengine's)."""
    known = accepted(function) or {}
    return name in known and known[name].default is None


def _parts(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(part for inner in get_args(hint) for part in _parts(inner))
    return (hint,)


def _in_words(hint: Any) -> str:
    parts = [get_origin(part) or part for part in _parts(hint) if part is not torch.Tensor]
    names = [_WORDS.get(part, str(getattr(part, "__name__", part))) for part in parts]
    return " or ".join(dict.fromkeys(names))


def check_at_least(least: int, value: Any, where: str) -> None:
    """A whole number of at least so much.

    Raises:
        ConfigError: for a smaller one, or another type.
    """
    check_type(value, int, where)
    if value < least:
        raise ConfigError(f"{where}={value} must be {least} or more")


def check_is_dict(value: Any, where: str) -> None:
    """A dict, or None where there is nothing.

    Raises:
        ConfigError: for anything else.
    """
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{where}={value!r} must be a dict, such as dict(type=...)")


def find_registered(registry: Any, name: Any, where: str) -> Any:
    """What an mmengine registry holds under a name; anything but a name is left as it is.

    Raises:
        ConfigError: for an unknown name, with the near miss.
    """
    found = registry.get(name) if isinstance(name, str) else name
    if found is not None and not callable(found):
        raise ConfigError(f"{where}={name!r} must be a name")
    if found is None:
        names = set(registry.module_dict)
        if registry.parent is not None:
            names |= set(registry.parent.module_dict)
        raise ConfigError(f"{where}={name!r} is not known{near_miss(str(name), names)}")
    return found
