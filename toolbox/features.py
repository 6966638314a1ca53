"""Features of a generator's own images: its activations at every pixel, as rows for any clusterer.

    stream = toolbox.feature_stream(generator, images=256)
    toolbox.build(dict(type='KLiSH', clusters=100)).fit(stream)

After KLiSH (arXiv 2211.16710), section 3.1 and table II.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.interfaces import Condition, Generator
from toolbox.plugins import host

NOISES = ("random", "const")
_APART = 1_000_003  # image i of seed s: rng seeded with s * _APART + i, as Generator.sample does


@dataclass(frozen=True)
class FeatureLayer:
    """A layer of a generator whose activations can be taken.

    Attributes:
        name: in the generator's ``feature_layers``.
        channels: C.
        size: pixels of a side.
    """

    name: str
    channels: int
    size: int


@dataclass(frozen=True)
class DrawnImages:
    """Images of a generator, with what they were made of.

    Attributes:
        images: (N, 3, H, W) in [-1, 1], at the generator's own size.
        maps: [(N, C, h, w)] float32, coarse to fine, each at its own size.
        latents: (N, latent_dim).
        labels: (N,) int64, or None for an unconditional generator.
    """

    images: Tensor
    maps: list[Tensor]
    latents: Tensor
    labels: Tensor | None


class FeatureStream:
    """Rows of features of a generator's images 0, 1, ...; made by :func:`feature_stream`.

    Can be iterated again and again, with the same values: all that is drawn is a function of (seed, image).

    Attributes:
        layers, channels: names and widths of the maps, coarse to fine.
        rows, width: N and D.
        images, size, seed, truncation, noise, pixels, label, keep: as they were given.
    """

    def __init__(
        self,
        generator: Generator,
        images: int,
        layers: Sequence[FeatureLayer],
        size: int,
        truncation: float,
        seed: int,
        pixels: int | None,
        noise: str,
        batch_size: int,
        label: int | None,
        keep: float,
    ) -> None:
        self.generator = generator
        self.images = images
        self.size = size
        self.truncation = truncation
        self.seed = seed
        self.pixels = pixels
        self.noise = noise
        self.batch_size = batch_size
        self.label = label
        self.keep = keep
        self.layers = tuple(layer.name for layer in layers)
        self.channels = tuple(layer.channels for layer in layers)
        self.width = sum(self.channels)
        self.rows = images * (pixels or size * size)
        self._kept: list[Tensor] | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """(n, D) float32, one chunk an image: all its pixels, or ``pixels`` random ones, in raster order.

        Chunks may be kept (``keep``): do not write to them.
        """
        size_in_bytes = 4 * self.rows * self.width
        if self._kept is not None:
            yield from self._kept
        elif size_in_bytes > self.keep * 2**30:
            yield from self._made()
        else:
            made = []
            for chunk in self._made():
                made.append(chunk)
                yield chunk
            self._kept = made

    def places(self) -> Tensor:
        """(rows, 2) float64 in [-1, 1]: where the pixel of each row lies in its image, column and row.

        -1 and 1 are the first and the last column or row of pixels. In the order of the chunks.
        """
        line = torch.linspace(-1, 1, self.size, dtype=torch.float64)
        if self.size == 1:
            line = torch.zeros(1, dtype=torch.float64)
        row, column = torch.meshgrid(line, line, indexing="ij")
        every = torch.stack([column, row], dim=-1).flatten(0, 1)
        return torch.cat(
            [every if self.pixels is None else every[self._chosen(i)] for i in range(self.images)]
        )

    def _made(self) -> Iterator[Tensor]:
        together = 1 if self.noise == "random" else self.batch_size
        for start in range(0, self.images, together):
            maps = self._maps(list(range(start, min(start + together, self.images))))
            for offset in range(len(maps[0])):
                yield self._rows([layer[offset : offset + 1] for layer in maps], start + offset)

    @torch.no_grad()
    def image(self, i: int) -> Tensor:
        """(3, H, W) in [-1, 1]: image ``i``, at the generator's own size."""
        return self._images([i])[0]

    @torch.no_grad()
    def draw(self, numbers: Sequence[int]) -> DrawnImages:
        """Images by their numbers, with their maps; with random noise one after the other.

        An image is a function of seed and number, but for rounding, which may depend on how many are drawn
        together.
        """
        latents, condition, _ = self._draw(numbers)
        if self.noise == "random" and len(numbers) > 1:
            each = [self.draw([i]) for i in numbers]
            images = torch.cat([one.images for one in each])
            maps = [torch.cat(layer) for layer in zip(*(one.maps for one in each), strict=True)]
        else:
            images, maps = self._images_and_maps(numbers)
        return DrawnImages(images, maps, latents, None if condition is None else condition.labels)

    def maps(self, i: int) -> list[Tensor]:
        """[(1, C, h, w)] float32: the maps of image ``i``, coarse to fine, each at its own size."""
        return self._maps([i])

    def _images_and_maps(self, numbers: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        with _in_eval_mode(self.generator):
            latents, condition, rng = self._draw(numbers)
            images, found = self.generator.images_and_features(
                latents, condition, self.layers, self.truncation, rng
            )
        return images.float().clamp(-1, 1), [found[layer].float() for layer in self.layers]

    def _images(self, numbers: Sequence[int]) -> Tensor:
        with _in_eval_mode(self.generator):
            latents, condition, rng = self._draw(numbers)
            images = self.generator.truncated(latents, condition, self.truncation, **_fresh(rng))
        return images.float().clamp(-1, 1)

    @torch.no_grad()
    def _maps(self, numbers: Sequence[int]) -> list[Tensor]:
        with _in_eval_mode(self.generator):
            latents, condition, rng = self._draw(numbers)
            found = self.generator.features(
                latents, condition, self.layers, truncation=self.truncation, **_fresh(rng)
            )
        return [found[layer].detach().float() for layer in self.layers]  # a constant map is a parameter

    def _draw(self, numbers: Sequence[int]) -> tuple[Tensor, Condition | None, torch.Generator | None]:
        """Latents, condition and the source of noise of some images; of one image where noise is random."""
        for i in numbers:
            if i < 0:
                raise ValueError(f"image i={i!r} must be 0 or more")
        device = _device(self.generator)
        rngs = [torch.Generator().manual_seed(self.seed * _APART + i) for i in numbers]
        latents = torch.cat([self.generator.sample_latents(1, rng) for rng in rngs]).to(device)
        condition = None
        if self.generator.n_conditions:
            # drawn for a given label too, so that the noise that follows is the same
            labels = torch.cat([torch.randint(self.generator.n_conditions, (1,), generator=r) for r in rngs])
            if self.label is not None:
                labels = torch.full((len(numbers),), self.label)
            condition = Condition(labels=labels).to(device)
        return latents, condition, rngs[0] if self.noise == "random" else None

    def _rows(self, maps: list[Tensor], i: int) -> Tensor:
        rows = stack_maps(maps, self.size)[0].flatten(1).T
        if self.pixels is None:
            return rows.contiguous()
        return rows[self._chosen(i).to(rows.device)]

    def _chosen(self, i: int) -> Tensor:
        """(pixels,) numbers of the random pixels of image ``i``, in raster order."""
        # a seed below 0: none of those that images are drawn from
        rng = torch.Generator().manual_seed(-1 - self.seed * _APART - i)
        return torch.randperm(self.size * self.size, generator=rng)[: self.pixels].sort().values


def feature_stream(
    generator: Generator,
    images: int,
    layers: Sequence[str | int] | None = None,
    size: int = 256,
    truncation: float = 0.5,
    seed: int = 0,
    pixels: int | None = None,
    noise: str = "random",
    batch_size: int = 1,
    label: int | None = None,
    keep: float = 1.0,
) -> FeatureStream:
    """Features of a generator's images, for any clusterer: images x size x size rows, width sum of channels.

    Args:
        generator: one with feature layers, on whatever device; it draws in eval mode, and keeps the mode that
            it is in.
        images: how many (KLiSH: 256).
        layers: names out of ``generator.feature_layers``, or their numbers in KLiSH's table II (9 = the last
            map at 64 x 64); None = :func:`default_layers`.
        size: maps are resized to size x size pixels (KLiSH: 256).
        truncation: in (0, 1] (KLiSH: 0.5; 0.7 for its ADA models).
        seed: of the images. The image of (seed, i) is that of ``generator.sample`` where ``noise`` is
            'const'.
        pixels: so many random pixels of each image; None = all.
        noise: 'random' (KLiSH), or 'const': that of the weights. Of no effect on networks without noise, and
            on those whose own ``noise_mode`` is not 'auto'.
        batch_size: images at a time; with random noise always one.
        label: class of all images, of a class-conditional generator; None = uniform draws.
        keep: GiB up to which rows are kept once they have all been made; larger streams, and all with 0, make
            them anew each time they are read. A clusterer reads them hundreds of times: what does not fit is
            better written to the disk first.

    Raises:
        ValueError: for a generator without feature layers, an unknown layer, or an argument out of its range.
    """
    chosen = _chosen(generator, layers)
    counts = dict(images=images, size=size, batch_size=batch_size, pixels=1 if pixels is None else pixels)
    for name, value in counts.items():
        _check_whole_number(name, value, 1)
    _check_whole_number("seed", seed, 0)
    if pixels is not None and pixels > size * size:
        raise ValueError(
            f"pixels={pixels} must be at most {size * size}, all of an image of size={size}; None = all"
        )
    if not (isinstance(truncation, (int, float)) and 0 < truncation <= 1):
        raise ValueError(f"truncation={truncation!r} must lie in (0, 1]; 1 = none")
    if noise not in NOISES:
        raise ValueError(f"noise={noise!r} is not one of {list(NOISES)}{near_miss(str(noise), NOISES)}")
    if not (isinstance(keep, (int, float)) and keep >= 0):
        raise ValueError(f"keep={keep!r} must be a number of GiB, 0 or more")
    _check_label(generator, label)
    return FeatureStream(
        generator, images, chosen, size, truncation, seed, pixels, noise, batch_size, label, keep
    )


def stack_maps(maps: Sequence[Tensor], size: int) -> Tensor:
    """(N, D, size, size) of maps (N, C_l, h_l, w_l), resized bilinearly, corners aligned, joined in order."""
    shape = (size, size)
    resized = [F.interpolate(x.float(), shape, mode="bilinear", align_corners=True) for x in maps]
    return torch.cat(resized, dim=1)


def default_layers(generator: Generator, most: int = 1000) -> tuple[str, ...]:
    """The rule of KLiSH's table II: the last map of each resolution, highest ones first, while D <= ``most``.

    Raises:
        ValueError: for a generator without feature layers.
    """
    last = list({layer.size: layer for layer in feature_layers_of(generator)}.values())
    while len(last) > 1 and sum(layer.channels for layer in last) > most:
        del last[0]
    return tuple(layer.name for layer in last)


def feature_layers_of(generator: Generator) -> list[FeatureLayer]:
    """All feature layers of a generator, coarse to fine.

    Makes an image where the layers' names and ``feature_channels`` do not tell their shapes.

    Raises:
        ValueError: for a generator without feature layers.
    """
    names = generator.feature_layers
    if not names:
        raise ValueError(
            f"{type(generator).__name__} has no feature layers (feature_layers is empty), so that its "
            f"features cannot be clustered; generators that have: {', '.join(_with_features())}"
        )
    sizes = [int(found[1]) for name in names if (found := re.match(r"(\d+)x\1\b", name))]
    if len(generator.feature_channels) == len(sizes) == len(names):
        return [FeatureLayer(*layer) for layer in zip(names, generator.feature_channels, sizes, strict=True)]
    return _probed(generator)


@torch.no_grad()
def _probed(generator: Generator) -> list[FeatureLayer]:
    """The shapes of the activations of one image."""
    device = _device(generator)
    condition = None
    if generator.n_conditions:
        condition = Condition(labels=torch.zeros(1, dtype=torch.long)).to(device)
    latents = generator.sample_latents(1, torch.Generator().manual_seed(0)).to(device)
    with _in_eval_mode(generator):
        found = generator.features(latents, condition, generator.feature_layers)
    shapes = {name: found[name].shape for name in generator.feature_layers}  # (1, C, h, w)
    return [FeatureLayer(name, shape[1], shape[2]) for name, shape in shapes.items()]


def _chosen(generator: Generator, layers: Sequence[str | int] | None) -> list[FeatureLayer]:
    """The layers asked for, coarse to fine."""
    known = {layer.name: layer for layer in feature_layers_of(generator)}
    if isinstance(layers, (str, int)):
        raise ValueError(f"layers={layers!r} must be a list of names or numbers, such as [{layers!r}]")
    if layers is not None and not len(layers):
        raise ValueError("layers is empty: name at least one, or None for those of the rule of table II")
    names = default_layers(generator) if layers is None else [_name(layer, known) for layer in layers]
    if len(set(names)) < len(names):
        raise ValueError(f"layers={list(layers or ())!r} name a map twice")
    return [layer for name, layer in known.items() if name in names]


def _name(layer: str | int, known: dict[str, FeatureLayer]) -> str:
    """A layer's name, from its name or its number in table II."""
    # the table numbers two layers for each resolution from 4 x 4 on, '4x4.0' = 0, '4x4' = 1, '8x8.0' = 2, ...
    numbers = {}
    for name, one in known.items():
        inner = re.fullmatch(r"(\d+)x\1(\.0)?", name)
        if inner:
            resolutions_below = one.size.bit_length() - 3
            numbers[2 * resolutions_below + (0 if inner[2] else 1)] = name
    if isinstance(layer, int) and layer in numbers:
        return numbers[layer]
    if layer in known:
        return str(layer)
    told = f", or their numbers in table II: {sorted(numbers)}" if numbers else ""
    raise ValueError(
        f"layers: {layer!r} is none of the generator's{near_miss(str(layer), known)}; choose from "
        f"{list(known)}{told}"
    )


def _check_whole_number(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")


def _check_label(generator: Generator, label: int | None) -> None:
    if label is None:
        return
    if not generator.n_conditions:
        raise ValueError(
            f"label={label!r}: {type(generator).__name__} is unconditional (n_conditions=0); leave label out"
        )
    if not (isinstance(label, int) and 0 <= label < generator.n_conditions):
        raise ValueError(
            f"label={label!r} must lie in 0..{generator.n_conditions - 1}, the classes of the generator"
        )


def _with_features() -> list[str]:
    """Names of the registered generators that write :meth:`Generator.features`."""
    found = []
    for entry in host().catalog.entries("generator"):
        try:
            network = entry.load()
        except (ImportError, LookupError, TypeError):
            continue
        if getattr(network, "features", None) is not Generator.features:
            found.append(entry.name)
    return found


def _fresh(rng: torch.Generator | None) -> dict[str, torch.Generator]:
    """Only where there is one: a generator whose ``truncated`` takes none adds no noise."""
    return {} if rng is None else {"rng": rng}


def _device(generator: Generator) -> torch.device:
    return next(generator.parameters()).device


@contextmanager
def _in_eval_mode(generator: Generator) -> Iterator[None]:
    """Eval mode inside, the modes of before afterwards."""
    modes = [(part, part.training) for part in generator.modules()]
    generator.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
