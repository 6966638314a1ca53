"""torch.compile for a game's networks: their entry points, not the iteration around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from toolbox.interfaces import Discriminator


class Compiled:
    """Compiled entry points, kept beside the networks, whose state and copies stay as they are.

    A discriminator is entered through ``encode`` and ``judge``, any other network by calling it. Compilation happens at the
    first use of each and takes minutes; terms that differentiate a gradient run uncompiled (``Objective.float32``).

    Args:
        networks: the game's.
        option: False, True, or arguments of torch.compile.
    """

    def __init__(self, networks: nn.ModuleDict, option: bool | Mapping[str, Any]) -> None:
        self.arguments = dict(option) if isinstance(option, Mapping) else {}
        self.on = option is not False
        self._entries: dict[tuple[str, str], Callable[..., Any]] = {}
        for network in networks.values():
            if self.on and not isinstance(network, Discriminator):
                network.compile(**self.arguments)

    def entry(self, network: str, method: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        """``plain``, a method of this network, compiled once."""
        if not self.on:
            return plain
        if (network, method) not in self._entries:
            self._entries[network, method] = torch.compile(plain, **self.arguments)
        return self._entries[network, method]
