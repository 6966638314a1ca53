"""StyleGAN, which grows progressively.

Karras et al.: A Style-Based Generator Architecture for Generative Adversarial Networks, CVPR 2019.
``lod`` of either network says how far it has grown, as in :mod:`toolbox.models.pggan`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition
from toolbox.models.conditions import soft_one_hot
from toolbox.models.growing import GrowingModule, faded, split_lod
from toolbox.models.layers import fast_layout
from toolbox.models.pggan import (
    SLOPE,
    ProgressiveDiscriminator,
    ScaledConv2d,
    ScaledLinear,
    full_precision,
)
from toolbox.models.style_based import (
    NOISE_MODES,
    Noise,
    NoisyLayer,
    NoisySynthesis,
    Seen,
    StyleBasedGenerator,
    StyleLayer,
    TrackedMapping,
    channels_at,
    check_choice,
    check_style_numbers,
    layer_names,
    resolutions,
)
from toolbox.models.style_ops import normalise_second_moment
from toolbox.models.upfirdn import filter2d, setup_filter
from toolbox.ranges import check_whole, given


class Mapping(TrackedMapping):
    """z (and c) to w: concatenated, normalised together, through slowly learning dense layers (fig. 1b).

    Args:
        latent_dim: of z.
        n_conditions: rows of the one-hot c; 0 = none.
        style_dim: of w.
        layers: fully connected layers.
        hidden: width of all but the last.
        lr_multiplier: of the layers.
        average_beta: how slowly the mean w follows.
    """

    def __init__(
        self,
        latent_dim: int,
        n_conditions: int,
        style_dim: int,
        layers: int,
        hidden: int,
        lr_multiplier: float,
        average_beta: float | None,
    ) -> None:
        super().__init__(style_dim, average_beta)
        if n_conditions:
            self.label_weight = nn.Parameter(torch.randn(n_conditions, latent_dim))
        widths = [latent_dim * (2 if n_conditions else 1), *[hidden] * (layers - 1), style_dim]
        self.layers = [f"dense{i}" for i in range(layers)]
        for i, name in enumerate(self.layers):
            self.add_module(name, ScaledLinear(widths[i], widths[i + 1], lr_multiplier=lr_multiplier))

    def forward(self, latents: Tensor, code: Tensor | None = None) -> Tensor:
        """w (N, style_dim) of z (N, latent_dim) and rows c (N, n_conditions)."""
        x = latents
        if code is not None:
            x = torch.cat([x, code @ self.label_weight], dim=1)  # (N, 2 latent_dim)
        x = normalise_second_moment(x)
        for name in self.layers:
            x = F.leaky_relu(self.get_submodule(name)(x), SLOPE)
        return x


class StyledLayer(NoisyLayer):
    """The constant or a convolution, then noise, bias, leaky ReLU and AdaIN (section 2, eq. 1).

        AdaIN(x, y) = (1 + y_s) (x - mean x) / sqrt(var x + 1e-8) + y_b   over the positions of each channel

    Args:
        inputs: channels; 0 = the learnt constant instead of a convolution.
        outputs: channels.
        size: of what comes out, in pixels.
        style_dim: of w.
        up: double the size, then blur.
    """

    blur_filter: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, style_dim: int, up: bool = False) -> None:
        super().__init__()
        self.size = size
        self.use_noise = True
        self.up = up
        self.register_buffer("blur_filter", setup_filter([1, 2, 1]), persistent=False)
        if inputs:
            self.conv = ScaledConv2d(inputs, outputs, bias=False, resample="up" if up else "none")
        else:
            self.const = nn.Parameter(torch.ones(outputs, size, size))
        self.noise_strength = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_const", torch.randn(size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = ScaledLinear(style_dim, 2 * outputs, gain=1)

    def forward(self, x: Tensor | None, w: Tensor, noise: Tensor | None) -> Tensor:
        """(N, outputs, size, size) of (N, inputs, H, W) and w (N, style_dim).

        ``noise``: (N, 1, size, size) or (size, size).
        """
        x = self.const.expand(len(w), -1, -1, -1).contiguous() if x is None else self.conv(x)
        if self.up:
            x = filter2d(x, self.blur_filter)
        if noise is not None:
            x = x + (noise * self.noise_strength[:, None, None]).to(x.dtype)
        x = F.leaky_relu(x + self.bias.to(x.dtype)[:, None, None], SLOPE)  # (N, outputs, size, size)
        style = self.style(w).to(x.dtype)[:, :, None, None]  # (N, 2 outputs, 1, 1)
        scale, shift = style.chunk(2, dim=1)
        return F.instance_norm(x, eps=1e-8) * (scale + 1) + shift


class Synthesis(GrowingModule, NoisySynthesis):
    """w of every layer to an image; two layers a resolution, each with its w."""

    def __init__(
        self, image_size: int, style_dim: int, channel_base: int, channel_max: int, lod: float
    ) -> None:
        super().__init__()
        self.sizes = resolutions(image_size)
        self.lod = lod
        split_lod(lod, self.sizes)  # raises for a lod that it cannot have
        self.n_styles = 2 * len(self.sizes)
        self.channels = [channels_at(size, channel_base, channel_max) for size in self.sizes]
        self.extent = max(channels * size for channels, size in zip(self.channels, self.sizes, strict=True))
        for k, (size, width) in enumerate(zip(self.sizes, self.channels, strict=True)):
            inputs = self.channels[k - 1] if k else 0
            self.add_module(f"layer{2 * k}", StyledLayer(inputs, width, size, style_dim, up=k > 0))
            self.add_module(f"layer{2 * k + 1}", StyledLayer(width, width, size, style_dim))
            self.add_module(f"output{k}", ScaledConv2d(width, 3, 1, gain=1))

    def forward(self, ws: Tensor, noise: Noise | None = None, seen: Seen | None = None) -> Tensor:
        """Images (N, 3, size, size), nominally in [-1, 1], of ws (N, n_styles, style_dim).

        ``noise``: one tensor or None for each layer; default :meth:`constant_noise`. ``seen`` is given the
        activations of the layers that it has as keys, up to the last one that the image is made of.
        """
        whole, _ = split_lod(self.lod, self.sizes)
        last = self.sizes[-1 - whole]
        activations: dict[str, Tensor] = {}
        for name, x, _ in self.walk(ws, noise):
            activations[name] = x
            if seen is not None and name in seen:
                seen[name] = x
            if name == f"{last}x{last}":
                break

        def colours(k: int) -> Tensor:
            x = activations[f"{self.sizes[k]}x{self.sizes[k]}"]
            return full_precision(self.get_submodule(f"output{k}")(x))

        return faded(colours, self.lod, self.sizes)

    def style_layers(self) -> list[StyleLayer]:
        """Each layer reads a style; colours read none."""
        return [StyleLayer(f"layer{i}", i) for i in range(self.n_styles)]

    def walk(self, ws: Tensor, noise: Noise | None = None) -> Iterator[tuple[str, Tensor, None]]:
        """(name, activations, None) layer by layer: the image is made of the last ones alone."""
        self.check(ws)
        noise = self.constant_noise() if noise is None else noise
        x = None
        for i, w in enumerate(ws.unbind(dim=1)):
            size = self.sizes[i // 2]
            x = x if x is None else fast_layout(x, self, self.extent)
            x = self.get_submodule(f"layer{i}")(x, w, noise[i])
            yield f"{size}x{size}{'' if i % 2 else '.0'}", x, None


class StyleGANGenerator(StyleBasedGenerator):
    """StyleGAN's generator, unconditional or conditioned on labels or soft rows (``weights @ label_weight``).

    In training mode :meth:`generate` adds fresh noise, mixes styles and lets the mean w follow; in eval mode
    an image is a function of latents and condition.

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes; 0 = unconditional.
        latent_dim, style_dim: of z and of w.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        mapping_layers, hidden_features: depth and width of the mapping network; None = ``channel_max`` wide.
        style_mixing_prob: how often an image in training has two latents, the second from a random layer on.
        noise_mode: 'auto' = 'random' in training and 'const' otherwise; 'const', 'random' (also when
            sampling) or 'none'.
        truncation_cutoff: truncation acts on so many of the first styles; None = all. 8 in the published
            runs.
        average_beta: of the mean w.
        lr_multiplier: of the mapping network.
        lod: how far it has grown; also an attribute.

    ``feature_layers[i]`` is layer i of KLiSH's table II: '4x4.0', '4x4', '8x8.0', '8x8', ...; after AdaIN.
    ``feature_channels`` are their widths.

    Raises:
        ValueError: naming the argument.
    """

    synthesis: Synthesis

    def __init__(
        self,
        image_size: int = 256,
        n_conditions: int = 0,
        latent_dim: int = 512,
        style_dim: int = 512,
        channel_base: int = 16384,
        channel_max: int = 512,
        mapping_layers: int = 8,
        hidden_features: int | None = None,
        style_mixing_prob: float = 0.9,
        noise_mode: str = "auto",
        truncation_cutoff: int | None = 8,
        average_beta: float = 0.995,
        lr_multiplier: float = 0.01,
        lod: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("noise_mode", noise_mode, NOISE_MODES)
        check_style_numbers(
            latent_dim,
            style_dim,
            n_conditions,
            truncation_cutoff,
            style_mixing_prob,
            average_beta,
            lr_multiplier,
        )
        check_whole(1, mapping_layers=mapping_layers, **given(hidden_features=hidden_features))
        self.image_size = image_size
        self.n_conditions = n_conditions
        self.latent_dim = latent_dim
        self.style_dim = style_dim
        self.noise_mode = noise_mode
        self.truncation_cutoff = truncation_cutoff
        self.style_mixing_prob = style_mixing_prob
        self.synthesis = Synthesis(image_size, style_dim, channel_base, channel_max, lod)
        self.mapping = Mapping(
            latent_dim,
            n_conditions,
            style_dim,
            mapping_layers,
            hidden_features or channel_max,
            lr_multiplier,
            average_beta,
        )
        self.n_styles = self.synthesis.n_styles
        self.feature_layers = layer_names(self.synthesis.sizes)
        self.feature_channels = tuple(c for c in self.synthesis.channels for _ in range(2))

    @property
    def sizes(self) -> list[int]:
        """All resolutions, smallest first."""
        return self.synthesis.sizes

    @property
    def lod(self) -> float:
        """How far it has grown."""
        return self.synthesis.lod

    @lod.setter
    def lod(self, value: float) -> None:
        self.synthesis.lod = value

    @property
    def active_styles(self) -> int:
        """Two a resolution that it has grown to: styles are mixed below it."""
        return self.n_styles - 2 * int(self.lod)


class StyleGANDiscriminator(ProgressiveDiscriminator):
    """StyleGAN's discriminator, unconditional, or with one logit a class, of which the condition picks one.

        D(x, c) = <h(x), c>   with c one-hot or soft rows;   D(x) = h(x) without classes

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes; 0 = unconditional.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        minibatch_std_group: images whose statistics are taken together; 4 in the published runs, 0 = all at
            hand.
        lod: how far it has grown; also an attribute.

    Raises:
        ValueError: naming the argument.
    """

    def __init__(
        self,
        image_size: int = 256,
        n_conditions: int = 0,
        channel_base: int = 16384,
        channel_max: int = 512,
        minibatch_std_group: int = 4,
        lod: float = 0.0,
    ) -> None:
        super().__init__(
            image_size,
            n_conditions,
            max(n_conditions, 1),
            channel_base,
            channel_max,
            minibatch_std_group,
            blur=True,
            mean_first=True,
            lod=lod,
        )

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of encoded images (N, max(n_conditions, 1)); labels count before weights.

        Raises:
            ValueError: without a condition where there are classes.
        """
        if not self.n_conditions:
            return features[:, 0]
        code = soft_one_hot(condition, self.n_conditions, type(self).__name__, labels_first=True)
        return (features * code.to(features)).sum(dim=1)
