"""Networks that a file describes: what it declares is compared with its tensors before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from toolbox.registry import BuildError, build
from toolbox.weights.errors import WeightsError, misfits, short
from toolbox.weights.limits import SLACK

_MOST = 2**20  # of any number in a description: more classes, channels or pixels than any network has
_MOST_VALUES = 200_000  # in a description: class names, mostly
_MOST_PRODUCT = 2**24  # of a number and the longest list: so many clusters for so many classes
_MOST_TENSORS = 10_000  # of one network
_FREE = ("seed", "iteration")  # may be any number


def check_numbers(config: Any, where: str = "") -> None:
    """Raise WeightsError for a description with numbers, or lists, that no network has.

    A generator of 10^6 layers or 2^40 latents must not be begun.
    """
    found = list(_numbers(config, where))
    if len(found) > _MOST_VALUES:
        raise WeightsError(f"its description holds {len(found):,} values, at most {_MOST_VALUES:,} are read")
    longest = max((value for name, value in found if name.endswith("#")), default=1)
    for name, value in found:
        if name.endswith("#") or name.rpartition(".")[2] in _FREE:
            continue
        if isinstance(value, (int, float)) and (abs(value) > _MOST or abs(value) * longest > _MOST_PRODUCT):
            raise WeightsError(f"it declares {name}={short(value)}, which no network has")


def _numbers(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every leaf, and (name#, length) of every list and dict."""
    if isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        pairs = [(str(i), item) for i, item in enumerate(value)]
    else:
        yield name, value
        return
    yield f"{name}#", max(1, len(pairs))
    for key, item in pairs:
        yield from _numbers(item, f"{name}.{key}" if name else key)


def check_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Raise WeightsError for tensors that cannot be one network's."""
    if len(tensors) > _MOST_TENSORS:
        raise WeightsError(f"{len(tensors):,} tensors are more than one network has ({_MOST_TENSORS:,})")
    for name, tensor in tensors.items():
        if not tensor.numel():
            raise WeightsError(f"tensor {short(name)} of shape {short(str(tuple(tensor.shape)))} is empty")


def check_declared(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raise WeightsError for a description of a network much larger than the tensors; whatever else does not
    fit is listed where they are loaded.
    """
    check_tensors(tensors)
    held = sum(tensor.numel() for tensor in tensors.values())
    declared = sum(tensor.numel() for tensor in outline(config, len(tensors)).values())
    if declared > 2 * held + SLACK:
        raise WeightsError(
            f"{short(config.get('type'))} has {declared:,} numbers by its config, {held:,} in the file"
        )


def outline(config: Mapping[str, Any], n_tensors: int, kind: str | None = None) -> dict[str, Tensor]:
    """The state dict of a described network, without memory for its numbers.

    Args:
        config: ``dict(type=..., ...)``.
        n_tensors: how many the file has: building stops far beyond that.
        kind: that it must be of.

    Raises:
        WeightsError: for a description that builds nothing, in words.
    """
    check_numbers(config)
    with torch.device("meta"), _limited(4 * n_tensors + 1000):
        network = built(config, kind)
    return dict(network.state_dict())


def built(config: Mapping[str, Any], kind: str | None = None) -> Any:
    """:func:`toolbox.registry.build` of what a file describes.

    Raises:
        WeightsError: in place of BuildError, without the names of Python's errors.
    """
    try:
        return build(config, kind)
    except BuildError as error:
        cause = error.__cause__
        if isinstance(cause, WeightsError):
            raise WeightsError(str(cause)) from error
        words = str(error) if cause is None else str(cause) or "without a reason"
        raise WeightsError(f"the network that it describes cannot be built: {words}") from error


def build_like(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], kind: str | None = None
) -> tuple[Any, str]:
    """(network, '') of a description that fits the tensors; (None, what does not fit) else.

    Raises:
        WeightsError: for a description that builds nothing.
    """
    check_tensors(tensors)
    faults = misfits(tensors, outline(config, len(tensors), kind))
    return (None, faults) if faults else (built(config, kind), "")


@contextmanager
def _limited(most: int) -> Iterator[None]:
    """Inside, no more than so many parameters, buffers and modules are made."""
    count = 0

    def registered(module: nn.Module, name: str, value: Any) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise WeightsError("it declares more layers than it has tensors for")

    handles = [
        hooks.register_module_parameter_registration_hook(registered),
        hooks.register_module_buffer_registration_hook(registered),
        hooks.register_module_module_registration_hook(registered),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
