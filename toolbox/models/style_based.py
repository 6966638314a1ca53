"""What the style-based generators share: truncation, style mixing, noise, features.

Karras et al.: A Style-Based Generator Architecture for Generative Adversarial Networks, CVPR 2019 (StyleGAN).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from toolbox import ranks
from toolbox.interfaces import Condition, Generator, Sample, draw_rows, normal_rows
from toolbox.models.conditions import soft_one_hot
from toolbox.models.layers import near
from toolbox.ranges import check_positive, check_probability, check_whole, given

NOISE_MODES = ("auto", "const", "random", "none")
Noise = Sequence[Tensor | None]
Seen = dict[str, Tensor | None]  # activations of the layers that are its keys


class TrackedMapping(nn.Module):
    """A mapping network that knows the mean of its w.

    Args:
        style_dim: of w.
        average_beta: how slowly the mean follows; None = there is none.
    """

    w_avg: Tensor

    def __init__(self, style_dim: int, average_beta: float | None) -> None:
        super().__init__()
        self.average_beta = average_beta
        if average_beta is not None:
            self.register_buffer("w_avg", torch.zeros(style_dim))

    @torch.no_grad()
    def track(self, w: Tensor) -> None:
        """Move the mean w towards that of a batch (of all ranks)."""
        if self.average_beta is not None:
            mean = ranks.mean_over_ranks(w.float().mean(dim=0))  # (style_dim,)
            self.w_avg.lerp_(mean, 1 - self.average_beta)


class StyleLayer(NamedTuple):
    """A layer that a style drives.

    Attributes:
        name: of the module, within its network.
        style: which of the vectors w it reads.
        colours: it makes colours, and passes nothing on.
    """

    name: str
    style: int
    colours: bool = False


class NoisyLayer(nn.Module):
    """A layer that adds noise of size x size pixels, or none.

    ``noise_const`` is the noise that is part of the weights.
    """

    size: int
    use_noise: bool
    noise_const: Tensor


class NoisySynthesis(nn.Module, ABC):
    """w of every layer to an image. A subclass writes :meth:`walk` and :meth:`forward`.

    Attributes:
        sizes, channels: of each resolution.
        n_styles: vectors w of an image.
    """

    sizes: list[int]
    channels: list[int]
    n_styles: int

    @abstractmethod
    def walk(self, ws: Tensor, noise: Noise | None = None) -> Iterator[tuple[str, Tensor, Tensor | None]]:
        """(name, activations, image so far) layer by layer; names are those of :func:`layer_names`."""

    def check(self, ws: Tensor) -> None:
        """Raise ValueError unless ``ws`` is (N, n_styles, style_dim)."""
        if ws.ndim != 3 or ws.shape[1] != self.n_styles:
            raise ValueError(f"ws have shape {tuple(ws.shape)}, expected (N, {self.n_styles}, style_dim)")

    def style_layers(self) -> list[StyleLayer]:
        """The layers that styles drive, in order; layers may share a style.

        Raises:
            ValueError: where a network does not say.
        """
        raise ValueError(
            f"{type(self).__name__} does not say which style drives which layer: give it style_layers(), or "
            "leave out what chooses layers (moves=)"
        )

    def layers(self) -> list[NoisyLayer]:
        """The layers that add noise, in order."""
        return [module for module in self.modules() if isinstance(module, NoisyLayer)]

    def constant_noise(self) -> list[Tensor | None]:
        """The noise that is part of the weights."""
        return [layer.noise_const if layer.use_noise else None for layer in self.layers()]

    def random_noise(self, n: int, rng: torch.Generator | None, like: Tensor) -> list[Tensor | None]:
        """Fresh noise (N, 1, H, W) for each convolution."""
        layers = self.layers()
        sizes = [layer.size if layer.use_noise else 0 for layer in layers]
        if like.device.type == "cpu":
            maps = [normal_rows(n, 1, s, s, rng=rng, device=like.device) if s else None for s in sizes]
        else:  # one draw for all layers: elsewhere the number of kernels counts
            whole = normal_rows(n, sum(s * s for s in sizes), rng=rng, device=like.device)
            parts = whole.split([s * s for s in sizes], dim=1)
            maps = [part.view(n, 1, s, s) if s else None for part, s in zip(parts, sizes, strict=True)]
        return [None if map is None else map.to(like) for map in maps]


class StyleBasedGenerator(Generator):
    """Latents by a mapping network to w, w to styles of every layer, styles to an image.

    A subclass sets, besides the attributes of a Generator:

    Attributes:
        mapping: (latents, rows of the condition) to w.
        synthesis: styles to images.
        style_dim, n_styles: of w; vectors w of an image.
        noise_mode: one of NOISE_MODES.
        truncation_cutoff: truncation acts on so many of the first styles; None = all.
        style_mixing_prob: how often an image in training has two latents.
        compiled_parts: what :meth:`generate` calls, and ``compile=True`` compiles.
    """

    compiled_parts: ClassVar[tuple[str, ...]] = ("mapping", "synthesis")
    bounded = False
    mapping: TrackedMapping
    synthesis: NoisySynthesis
    style_dim: int
    n_styles: int
    noise_mode: str
    truncation_cutoff: int | None
    style_mixing_prob: float

    def forward(
        self,
        latents: Tensor,
        condition: Condition | None = None,
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images (N, 3, size, size), nominally in [-1, 1], of latents (N, latent_dim).

        ``rng`` feeds random noise.
        """
        ws = self.styles(self.style_latent(latents, condition), truncation)
        return self.synthesis(ws, self.noise(ws, rng))

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        """Images with their styles, ``extras['ws']`` (N, n_styles, style_dim).

        In eval mode they are clipped to [-1, 1].
        """
        w = self.style_latent(latents, condition)  # (N, style_dim)
        ws = self.styles(w)
        noise = self.noise(ws, rng)  # the first draw, so that :meth:`remake` can repeat it
        if self.mapping.training:
            self.mapping.track(w)
        if self.training:
            ws = self._mixed(ws, condition, rng)
        images = self.clipped(self.synthesis(ws, noise))
        return Sample(images, Condition() if condition is None else condition, latents, extras={"ws": ws})

    def remake(self, sample: Sample, rng: torch.Generator | None = None) -> Sample:
        """As any generator, of the same styles, mixed ones too, where the two have styles of one shape.

        With ``rng``, 'auto' noise is random.
        """
        if sample.latents is None:
            return super().remake(sample, rng)
        ws = sample.extras.get("ws")
        if ws is None or ws.shape[1:] != (self.n_styles, self.style_dim):
            ws = self.styles(self.style_latent(sample.latents, sample.condition))
        images = self.synthesis(ws, self.noise(ws, rng, fresh=rng is not None))
        return Sample(images, sample.condition, sample.latents, extras={"ws": ws})

    def style_latent(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """w (N, style_dim) of latents (N, latent_dim), not truncated.

        Raises:
            ValueError: for latents or a condition that do not fit.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"latents have shape {tuple(latents.shape)}, expected (N, {self.latent_dim})")
        if not self.n_conditions:
            return self.mapping(latents, None)
        code = soft_one_hot(condition, self.n_conditions, type(self).__name__)  # (N, n_conditions)
        return self.mapping(latents, code.to(latents))

    def styles(self, w: Tensor, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """ws (N, n_styles, style_dim): w for every layer, the first ``cutoff`` pulled to the mean w.

        w' = mean + truncation (w - mean)   (StyleGAN, appendix B)
        """
        ws = w.unsqueeze(1).expand(-1, self.n_styles, -1)
        if truncation == 1:
            return ws
        if cutoff is None:
            cutoff = self.truncation_cutoff
        if cutoff is None:
            cutoff = self.n_styles
        near_mean = torch.lerp(self.mapping.w_avg.to(w), w, truncation).unsqueeze(1)  # (N, 1, style_dim)
        return torch.cat([near_mean.expand_as(ws[:, :cutoff]), ws[:, cutoff:]], dim=1)

    def style_layers(self) -> list[StyleLayer]:
        """The layers that styles drive, in order, by their names in this network."""
        return [layer._replace(name=f"synthesis.{layer.name}") for layer in self.synthesis.style_layers()]

    @property
    def active_styles(self) -> int:
        """Vectors w that the image depends on; fewer than ``n_styles`` in a network that still grows."""
        return self.n_styles

    def truncated(
        self,
        latents: Tensor,
        condition: Condition | None,
        truncation: float,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Truncation acts on w, not on z. With ``rng``, 'auto' noise is random."""
        ws = self.styles(self.style_latent(latents, condition), truncation)
        return self.synthesis(ws, self.noise(ws, rng, fresh=rng is not None))

    def noise(self, ws: Tensor, rng: torch.Generator | None = None, fresh: bool = False) -> Noise:
        """What is added to the activations, by ``noise_mode``.

        'auto' is random in training, and where it is to be ``fresh``.
        """
        mode = self.noise_mode
        if mode == "auto":
            mode = "random" if self.training or fresh else "const"
        if mode == "random":
            return self.synthesis.random_noise(len(ws), rng, ws)
        if mode == "const":
            return self.synthesis.constant_noise()
        return [None] * len(self.synthesis.layers())

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """{layer: (N, C, h, w)} for names out of ``feature_layers``: after bias, leaky ReLU and gain.

        Stops at the last one. With ``rng``, 'auto' noise is random.

        Raises:
            ValueError: for a name that is not among them.
        """
        for layer in layers:
            check_choice("layers", layer, self.feature_layers)
        ws = self.styles(self.style_latent(latents, condition), truncation)
        noise = self.noise(ws, rng, fresh=rng is not None)
        activations: dict[str, Tensor] = {}
        for name, x, _ in self.synthesis.walk(ws, noise):
            activations[name] = x
            if set(layers) <= set(activations):
                break
        return {layer: activations[layer] for layer in layers}

    def images_and_features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """In one pass; in two for layers above those that a growing network makes its images of."""
        for layer in layers:
            check_choice("layers", layer, self.feature_layers)
        state = None if rng is None else rng.get_state()
        ws = self.styles(self.style_latent(latents, condition), truncation)
        seen: Seen = dict.fromkeys(layers)
        images = self.synthesis(ws, self.noise(ws, rng, fresh=rng is not None), seen)
        found = {layer: x for layer, x in seen.items() if x is not None}
        if len(found) == len(seen):
            return images, found
        if rng is not None and state is not None:
            rng.set_state(state)
        return super().images_and_features(latents, condition, layers, truncation, rng)

    def _mixed(self, ws: Tensor, condition: Condition | None, rng: torch.Generator | None) -> Tensor:
        """Style mixing (StyleGAN, section 3.1): from one random layer on, the styles of second latents.

        Both have the same condition.
        """
        coin, layer = torch.rand(2, generator=rng).tolist()  # of the batch: the same on all ranks
        if coin >= self.style_mixing_prob:
            return ws
        cutoff = 1 + int(layer * (self.active_styles - 1))
        latents = draw_rows(lambda n: self.sample_latents(n, rng), len(ws), rng).to(ws)
        second = self.styles(self.style_latent(latents, condition))  # (N, n_styles, style_dim)
        return torch.cat([ws[:, :cutoff], second[:, cutoff:]], dim=1)


def resolutions(image_size: int) -> list[int]:
    """[4, 8, ..., image_size].

    Raises:
        ValueError: unless it is a power of two from 4 on.
    """
    check_whole(4, image_size=image_size)
    if image_size & (image_size - 1):
        below = 1 << max(int(image_size).bit_length() - 1, 2)
        raise ValueError(
            f"image_size={image_size} must be a power of two from 4 on, such as {below} or {2 * below}"
        )
    return [1 << i for i in range(2, image_size.bit_length())]


def layer_names(sizes: Sequence[int]) -> tuple[str, ...]:
    """Two a resolution, the last with the resolution's name: '4x4.0', '4x4', '8x8.0', '8x8', ..."""
    return tuple(f"{size}x{size}{end}" for size in sizes for end in (".0", ""))


def channels_at(size: int, channel_base: int, channel_max: int) -> int:
    """Channels of the layers at size x size pixels."""
    check_whole(1, channel_base=channel_base, channel_max=channel_max)
    if channel_base < size:
        raise ValueError(f"channel_base={channel_base} leaves no channels at {size}x{size} pixels")
    return min(channel_base // size, channel_max)


def check_style_numbers(
    latent_dim: int,
    style_dim: int,
    n_conditions: int,
    truncation_cutoff: int | None,
    style_mixing_prob: float,
    average_beta: float,
    lr_multiplier: float,
) -> None:
    """What StyleGAN's and StyleGAN2's constructors check alike; ValueError names the argument."""
    check_whole(1, latent_dim=latent_dim, style_dim=style_dim)
    check_whole(0, n_conditions=n_conditions, **given(truncation_cutoff=truncation_cutoff))
    check_probability(style_mixing_prob=style_mixing_prob, average_beta=average_beta)
    check_positive(lr_multiplier=lr_multiplier)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is not one of {list(allowed)}{near(value, allowed)}")
