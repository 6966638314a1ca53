"""Extractors of parts from a generator's taps: linear (LSE), and two that are not (NSE), to compare with.

After LinearGAN (Xu and Zheng: Linear Semantics in Generative Adversarial Networks, CVPR 2021).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.features import feature_layers_of, feature_stream, stack_maps
from toolbox.ranges import check_whole

WEIGHTINGS = ("none", "softplus", "sigmoid")


class TapExtractor(nn.Module, ABC):
    """Maps of a generator's layers to scores of parts, a pixel at a time.

    Args:
        part_names: of the parts, or None: those of the teacher.
        generator: whose layers they are.
        teacher: a segmenter.
        layers: names, or numbers of table II; None = all of the generator's, as in the paper.
        channels: widths of ``layers`` (names then), in place of a generator.

    Attributes:
        part_names, layers, channels: of the maps, coarse to fine.

    Raises:
        ValueError: for fewer than two parts, layers that the generator does not have, or neither a generator
            nor widths.
    """

    def __init__(
        self,
        part_names: Sequence[str] | None = None,
        generator: Any = None,
        teacher: Any = None,
        layers: Sequence[str | int] | None = None,
        channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.part_names = _parts(part_names, teacher)
        self.layers, self.channels = _taps(generator, layers, channels)

    @abstractmethod
    def forward(self, maps: Sequence[Tensor], size: int) -> Tensor:
        """Scores (N, parts, size, size) of maps (N, C_l, h_l, w_l), one for each of ``layers``."""

    def check(self, maps: Sequence[Tensor]) -> None:
        """Refuse maps of other layers.

        Raises:
            ValueError: naming the widths.
        """
        found = tuple(layer.shape[1] for layer in maps)
        if found != self.channels:
            raise ValueError(
                f"maps have {', '.join(map(str, found))} channels, {type(self).__name__} reads "
                f"{', '.join(map(str, self.channels))}, of {', '.join(self.layers)}"
            )


class LSE(TapExtractor):
    """Linear semantic extractor: S = sum_l lambda_l up(W_l x_l + b_l) (LinearGAN).

    Maps are scored by 1x1 convolutions, resized bilinearly with aligned corners, and summed.

    Args:
        part_names, generator, teacher, layers, channels: see :class:`TapExtractor`.
        weighting: lambda: 'none' = 1 (KLiSH); 'softplus' or 'sigmoid' of a learnt number a layer, divided by
            their sum (LinearGAN's default is 'softplus').
        bias: b, or none (KLiSH with few annotations).

    Attributes:
        extractor: W, (parts, C_l, 1, 1) each; names of tensors are those of the authors' files.
        layer_weight: (layers,) what lambda is made of.
    """

    def __init__(
        self,
        part_names: Sequence[str] | None = None,
        generator: Any = None,
        teacher: Any = None,
        layers: Sequence[str | int] | None = None,
        channels: Sequence[int] | None = None,
        weighting: str = "none",
        bias: bool = False,
    ) -> None:
        super().__init__(part_names, generator, teacher, layers, channels)
        if weighting not in WEIGHTINGS:
            hint = near_miss(str(weighting), WEIGHTINGS)
            raise ValueError(f"weighting={weighting!r} is not one of {', '.join(WEIGHTINGS)}{hint}")
        self.weighting = weighting
        self.bias = bias
        parts = len(self.part_names)
        self.extractor = nn.ModuleList(nn.Conv2d(width, parts, 1, bias=bias) for width in self.channels)
        self.layer_weight = nn.Parameter(torch.ones(len(self.layers)), requires_grad=weighting != "none")

    def factors(self) -> Tensor:
        """(layers,) lambda."""
        if self.weighting == "none":
            return torch.ones_like(self.layer_weight)
        positive = getattr(F, self.weighting)(self.layer_weight)
        return positive / positive.sum()

    def forward(self, maps: Sequence[Tensor], size: int) -> Tensor:
        """Scores (N, parts, size, size) of maps (N, C_l, h_l, w_l), one for each of ``layers``."""
        self.check(maps)
        scored = [
            factor * convolution(x.float())
            for factor, convolution, x in zip(self.factors(), self.extractor, maps, strict=True)
        ]
        return _sum(scored, size)


class NSE1(TapExtractor):
    """As :class:`LSE`, with three 1x1 convolutions and ReLUs a layer in place of one: not linear (LinearGAN).

    Their hidden width is half of a map's channels and the parts.
    """

    def __init__(
        self,
        part_names: Sequence[str] | None = None,
        generator: Any = None,
        teacher: Any = None,
        layers: Sequence[str | int] | None = None,
        channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(part_names, generator, teacher, layers, channels)
        self.extractor = nn.ModuleList(_three_layers(width, len(self.part_names)) for width in self.channels)

    def forward(self, maps: Sequence[Tensor], size: int) -> Tensor:
        """Scores (N, parts, size, size) of maps (N, C_l, h_l, w_l), one for each of ``layers``."""
        self.check(maps)
        return _sum([head(x.float()) for head, x in zip(self.extractor, maps, strict=True)], size)


class NSE2(TapExtractor):
    """A small decoder beside the generator: 3x3 convolutions, each map added to what came from below.

    LinearGAN describes it in words; widths are ours: ``hidden`` channels at every resolution.

    Args:
        part_names, generator, teacher, layers, channels: see :class:`TapExtractor`.
        hidden: channels.
    """

    def __init__(
        self,
        part_names: Sequence[str] | None = None,
        generator: Any = None,
        teacher: Any = None,
        layers: Sequence[str | int] | None = None,
        channels: Sequence[int] | None = None,
        hidden: int = 32,
    ) -> None:
        super().__init__(part_names, generator, teacher, layers, channels)
        check_whole(1, hidden=hidden)
        self.read = nn.ModuleList(nn.Conv2d(width, hidden, 3, padding=1) for width in self.channels)
        self.mix = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=1) for _ in self.channels)
        self.head = nn.Conv2d(hidden, len(self.part_names), 3, padding=1)

    def forward(self, maps: Sequence[Tensor], size: int) -> Tensor:
        """Scores (N, parts, size, size) of maps (N, C_l, h_l, w_l), coarse to fine."""
        self.check(maps)
        x: Tensor | None = None
        for read, mix, layer in zip(self.read, self.mix, maps, strict=True):
            added = read(layer.float())
            if x is not None:
                added = added + F.interpolate(x, added.shape[2:], mode="nearest")
            x = added + mix(F.relu(added))
        assert x is not None
        return _resized(self.head(F.relu(x)), size)


def _sum(scores: Sequence[Tensor], size: int) -> Tensor:
    """Of maps of any sizes, resized; those of one size are added first."""
    by_size: dict[int, Tensor] = {}
    for one in scores:
        side = one.shape[-1]
        by_size[side] = by_size[side] + one if side in by_size else one
    resized = [_resized(one, size) for one in by_size.values()]
    return sum(resized[1:], resized[0])


def _resized(maps: Tensor, size: int) -> Tensor:
    return maps if maps.shape[-1] == size else stack_maps([maps], size)


def _three_layers(width: int, parts: int) -> nn.Sequential:
    hidden = (width + parts) // 2
    layers: list[nn.Module] = [nn.Conv2d(width, hidden, 1), nn.ReLU()]
    layers += [nn.Conv2d(hidden, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, parts, 1)]
    return nn.Sequential(*layers)


def _parts(part_names: Sequence[str] | None, teacher: Any) -> list[str]:
    names = getattr(teacher, "part_names", None) if part_names is None else part_names
    if names is None or isinstance(names, str) or len(names) < 2:
        raise ValueError(
            f"part_names={names!r}: name at least two parts, or a teacher (uses=dict(teacher='teacher')) "
            "whose parts they are"
        )
    return list(names)


def _taps(
    generator: Any, layers: Sequence[str | int] | None, channels: Sequence[int] | None
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and widths of the layers, coarse to fine."""
    if channels is not None:
        return _given(layers, channels)
    if generator is None:
        raise ValueError("generator=None: name one (uses=dict(generator=...)), or layers and channels")
    if layers is None:
        layers = [layer.name for layer in feature_layers_of(generator)]
    stream = feature_stream(generator, 1, layers=layers, size=4)  # refuses what the generator does not have
    return stream.layers, stream.channels


def _given(
    layers: Sequence[str | int] | None, channels: Sequence[int]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    for width in channels:
        check_whole(1, channels=width)
    names = tuple(map(str, layers or ()))
    if len(names) != len(channels) or not names:
        raise ValueError(f"layers names {len(names)} maps, channels={list(channels)} is for {len(channels)}")
    return names, tuple(channels)
