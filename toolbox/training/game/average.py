"""Averaged copies of networks: what is sampled from and evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm

from toolbox.models.borrowing import copy_sharing
from toolbox.ranges import check_in, check_not_negative, check_whole, given

Place = tuple[dict[str, Any], dict[str, Any], str]  # a module's tensors here and there, and the name of one
FOLLOW_EVERY = 8  # iterations between two power iterations on averaged weights: they were 13 of 19 ms


class Average(nn.Module):
    """Exponential moving average of a network.

    Either a constant ``decay`` (BigGAN: 0.9999, a plain copy before ``start``, floating buffers averaged
    too), or StyleGAN2's half-life: decay = 0.5^(batch / (1000 min(half_life_kimg, rampup * kimg))).

    Args:
        network: the network to follow; copied now, before its first forward pass; what it borrows is shared.
        decay: weight of the old value, in [0, 1).
        start: iterations during which the average is a plain copy.
        half_life_kimg: thousands of images, as ``kimg`` of a turn counts them; replaces ``decay``.
        rampup: the half-life is at most this share of the images seen; None = no ramp.
        average_buffers: average floating buffers (BatchNorm statistics) instead of copying them; the vectors
            of spectral normalisation are neither averaged nor copied, they follow the averaged weights.

    Raises:
        ValueError: for a decay outside [0, 1), or a negative start, half-life or ramp.
    """

    def __init__(
        self,
        network: nn.Module,
        decay: float = 0.999,
        start: int = 0,
        half_life_kimg: float | None = None,
        rampup: float | None = None,
        average_buffers: bool = True,
    ) -> None:
        super().__init__()
        check_in("[0, 1)", decay=decay)
        check_whole(0, start=start)
        check_not_negative(**given(half_life_kimg=half_life_kimg, rampup=rampup))  # 0: a plain copy
        self.module = copy_sharing(network).requires_grad_(False).eval()
        self.decay = decay
        self.start = start
        self.half_life_kimg = half_life_kimg
        self.rampup = rampup
        self.average_buffers = average_buffers
        self._found: tuple[nn.Module, Any] | None = None

    def train(self, mode: bool = True) -> Average:
        """Stays in eval mode: it is never trained."""
        return super().train(False)

    def decay_at(self, iteration: int, kimg: float, batch: int) -> float:
        """Weight of the old value at this iteration."""
        if self.half_life_kimg is None:
            return 0.0 if iteration < self.start else self.decay
        half_life = self.half_life_kimg
        if self.rampup is not None:
            half_life = min(half_life, self.rampup * kimg)
        return float(0.5 ** (batch / max(half_life * 1000, 1e-8)))

    @torch.no_grad()
    def update(self, network: nn.Module, iteration: int, kimg: float, batch: int) -> None:
        """Move the average towards the network's present weights."""
        decay = self.decay_at(iteration, kimg, batch)
        parameters, averaged, copied = self._places(network)
        for places in (parameters, averaged):
            if places:
                own = [mine[name] for mine, _, name in places]
                torch._foreach_lerp_(own, [theirs[name] for _, theirs, name in places], 1.0 - decay)
        for mine, theirs, name in copied:
            mine[name].copy_(theirs[name])
        if decay == 0 or iteration % FOLLOW_EVERY == 0:
            self._follow_singular_vectors()

    def _follow_singular_vectors(self) -> None:
        """One power iteration of spectral normalisation on the averaged weights.

        Averaging the vectors themselves shrinks them whenever they turn or change sign, and with them sigma =
        u^T W v: the averaged network then multiplies by too much and its images saturate. An average of many
        iterations turns so slowly that every :data:`FOLLOW_EVERY`-th is enough.
        """
        for module in self.module.modules():
            for hook in module._forward_pre_hooks.values():
                if isinstance(hook, SpectralNorm):
                    hook.compute_weight(module, do_power_iteration=True)

    def _places(self, network: nn.Module) -> tuple[list[Place], list[Place], list[Place]]:
        """Where parameters, averaged buffers and copied buffers are, found once: names cost 1 ms a walk."""
        if self._found is None or self._found[0] is not network:
            parameters: list[Place] = []
            averaged: list[Place] = []
            copied: list[Place] = []
            seen: set[int] = set()  # a tensor that two modules share moves once
            for own, theirs in zip(self.module.modules(), network.modules(), strict=True):
                for name in _new(own._parameters, seen):
                    parameters.append((own._parameters, theirs._parameters, name))
                for name in _new(own._buffers, seen):
                    if name not in ("weight_u", "weight_v"):  # the vectors of spectral normalisation
                        floats = own._buffers[name].is_floating_point()  # type: ignore[union-attr]
                        places = averaged if self.average_buffers and floats else copied
                        places.append((own._buffers, theirs._buffers, name))
            self._found = (network, (parameters, averaged, copied))
        return self._found[1]


def _new(tensors: Mapping[str, Any], seen: set[int]) -> list[str]:
    """Names of tensors that are not among ``seen``, where they are noted."""
    names = [name for name, value in tensors.items() if value is not None and id(value) not in seen]
    seen.update(id(tensors[name]) for name in names)
    return names
