"""Networks that use others without owning them (``uses=`` in a config): copies share what is borrowed."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def lend(network: nn.Module, others: Iterable[nn.Module]) -> None:
    """Note that ``network`` uses ``others``, which belong to somebody else."""
    network.__dict__["_borrowed"] = (*borrowed_by(network), *others)  # a tuple: no submodules


def borrowed_by(network: nn.Module) -> tuple[nn.Module, ...]:
    """The networks that one uses."""
    return tuple(network.__dict__.get("_borrowed", ()))


def copy_sharing(network: Network) -> Network:
    """A deep copy that uses the very networks that the original uses.

    A copy of its own would keep the weights of that moment, and stay behind when a checkpoint is loaded or
    the original moves to another device.
    """
    own = {id(module) for module in network.modules()}
    shared = {id(other): other for other in borrowed_by(network) if id(other) not in own}
    return copy.deepcopy(network, dict(shared))
