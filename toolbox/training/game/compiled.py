"""torch.compile for a game's networks: their entry points, not the iteration around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm

from toolbox.interfaces import Discriminator


class Compiled:
    """Compiled entry points, kept beside the networks, whose state and copies stay as they are.

    A discriminator is entered through ``encode`` and ``judge``; a network that names ``compiled_parts`` by
    calling those (a style-based generator: mapping and synthesis); any other by calling it. Compilation
    happens at the first use of each and takes minutes; terms that differentiate a gradient run uncompiled
    (``Objective.float32``).

    Args:
        networks: the game's.
        option: False, True, or arguments of torch.compile.
    """

    def __init__(self, networks: nn.ModuleDict, option: bool | Mapping[str, Any]) -> None:
        self.arguments = dict(option) if isinstance(option, Mapping) else {}
        self.on = option is not False
        self._networks = networks
        self._entries: dict[tuple[str, str], Entry] = {}
        for network in networks.values():
            if not self.on or isinstance(network, Discriminator):
                continue
            for name in getattr(network, "compiled_parts", ("",)):
                part = network.get_submodule(name)
                # what Module.compile() sets: used by calling the network, left behind by its copies
                part._compiled_call_impl = Entry(part._call_impl, part, self.arguments)

    def entry(self, network: str, method: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        """``plain``, a method of this network, compiled once."""
        if not self.on:
            return plain
        if (network, method) not in self._entries:
            self._entries[network, method] = Entry(plain, self._networks[network], self.arguments)
        return self._entries[network, method]


class Entry:
    """One compiled method of a network.

    Spectral normalisation stays outside: inside, its power iteration would change in place what the compiled
    backward pass of an earlier call still needs. So the normalised weights are computed first, and the
    compiled code finds them ready.
    """

    def __init__(self, plain: Callable[..., Any], network: nn.Module, arguments: Mapping[str, Any]) -> None:
        self.plain = plain
        self.fast = torch.compile(plain, **arguments)
        self.norms = list(_spectral_norms(network))
        self.passed: list[bool] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The method's value. The first call is a plain one, which shows what layers the method uses."""
        if self.norms and self.passed is None:
            before = self._weights()
            value = self.plain(*args, **kwargs)
            self.passed = [new is not old for new, old in zip(self._weights(), before, strict=True)]
            return value
        for (module, _, norm), passed in zip(self.norms, self.passed or (), strict=True):
            weight = norm.compute_weight(module, do_power_iteration=passed and module.training)
            setattr(module, norm.name, weight)
        with _without(self.norms):
            return self.fast(*args, **kwargs)

    def _weights(self) -> list[Any]:
        """The normalised weights that the layers hold now."""
        return [getattr(module, norm.name) for module, _, norm in self.norms]


def _spectral_norms(network: nn.Module) -> Iterator[tuple[nn.Module, int, SpectralNorm]]:
    for module in network.modules():
        for key, hook in module._forward_pre_hooks.items():
            if isinstance(hook, SpectralNorm):
                yield module, key, hook


@contextmanager
def _without(norms: Sequence[tuple[nn.Module, int, SpectralNorm]]) -> Iterator[None]:
    for module, key, _ in norms:
        del module._forward_pre_hooks[key]
    try:
        yield
    finally:
        for module, key, norm in norms:
            module._forward_pre_hooks[key] = norm
