"""StyleGAN2 and StyleGAN2-ADA in the layout of NVIDIA's PyTorch release: its published weights load by name.

Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020 (StyleGAN2); Training
Generative Adversarial Networks with Limited Data, NeurIPS 2020 (ADA). Settings of the published runs:
:mod:`toolbox.models.stylegan2_presets`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from toolbox.models.layers import fast_layout
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
from toolbox.models.style_ops import (
    EqualConv2d,
    EqualLinear,
    activation,
    bias_act,
    modulated_conv2d,
    normalise_second_moment,
    split_gain,
)
from toolbox.models.stylegan2_presets import generator_arguments
from toolbox.models.upfirdn import setup_filter, upsample2d
from toolbox.ranges import check_in, check_whole, given, numbered

ARCHITECTURES = ("skip", "resnet", "orig")


class Mapping(TrackedMapping):
    """z (and c) to w: normalised, concatenated, through dense layers that learn slowly.

    Args:
        latent_dim: of z; 0 = the condition alone.
        n_conditions: rows of the one-hot c; 0 = none.
        style_dim: of w.
        layers: fully connected layers.
        embed_features, layer_features: widths of c's embedding and of hidden layers; None = ``style_dim``.
        lr_multiplier: of the layers.
        average_beta: how slowly the mean w follows; None = there is none.
    """

    def __init__(
        self,
        latent_dim: int,
        n_conditions: int,
        style_dim: int,
        layers: int = 8,
        embed_features: int | None = None,
        layer_features: int | None = None,
        lr_multiplier: float = 0.01,
        average_beta: float | None = 0.995,
    ) -> None:
        super().__init__(style_dim, average_beta)
        embedded = (embed_features or style_dim) if n_conditions else 0
        hidden = layer_features or style_dim
        widths = [latent_dim + embedded, *[hidden] * (layers - 1), style_dim]
        if n_conditions:
            self.embed = EqualLinear(n_conditions, embedded)
        self.layers = [f"fc{i}" for i in range(layers)]
        for i, name in enumerate(self.layers):
            dense = EqualLinear(widths[i], widths[i + 1], activation="lrelu", lr_multiplier=lr_multiplier)
            self.add_module(name, dense)

    def forward(self, latents: Tensor | None, code: Tensor | None = None) -> Tensor:
        """w (N, style_dim) of z (N, latent_dim) and rows c (N, n_conditions) that sum to 1."""
        parts = [] if latents is None else [normalise_second_moment(latents)]
        if code is not None:
            parts.append(normalise_second_moment(self.embed(code)))
        x = torch.cat(parts, dim=1)  # (N, latent_dim + embedded)
        for name in self.layers:
            x = self.get_submodule(name)(x)
        return x


class SynthesisLayer(NoisyLayer):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU (StyleGAN2, fig. 2c)."""

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        style_dim: int,
        up: int = 1,
        gain: float = 1.0,
        act: str = "lrelu",
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        clamp: float | None = None,
        use_noise: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.up = up
        self.act = act
        self.use_noise = use_noise
        self.fused = fused
        self.gain = activation(act).gain * gain
        self.clamp = None if clamp is None else clamp * gain
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        if use_noise:
            self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", setup_filter(resample_filter))
        if use_noise:
            self.register_buffer("noise_const", torch.randn(size, size))
        self.affine = EqualLinear(style_dim, inputs, bias_init=1)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, up H, up W).

        ``noise``: (N, 1, up H, up W) or (up H, up W), of variance 1.
        """
        before, after = split_gain(self.act, self.gain)
        if noise is not None:
            noise = (noise * (self.noise_strength * before)).to(x.dtype)
        x = modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            noise,
            self.up,
            padding=1,
            f=self.resample_filter,
            flip_weight=self.up == 1,
            fused=self.fused,
            gain=before,
        )
        return bias_act(x, self.bias * before, act=self.act, gain=after, clamp=self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to colours, without demodulation and noise."""

    def __init__(self, inputs: int, colours: int, style_dim: int, clamp: float | None, fused: bool) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(inputs)
        self.clamp = clamp
        self.fused = fused
        self.weight = nn.Parameter(torch.randn(colours, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colours))
        self.affine = EqualLinear(style_dim, inputs, bias_init=1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, colours, H, W)."""
        styles = self.affine(w) * self.scale  # (N, inputs)
        x = modulated_conv2d(x, self.weight, styles, demodulate=False, fused=self.fused)
        return bias_act(x, self.bias, clamp=self.clamp)


class SynthesisBlock(nn.Module):
    """The layers of one resolution: the learnt constant or a x2 convolution, a convolution, and colours.

    Architectures: StyleGAN2, fig. 7. ``inputs`` = 0: the constant. ``last``: colours in any architecture.
    """

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        style_dim: int,
        colours: int,
        architecture: str,
        last: bool,
        act: str,
        resample_filter: Sequence[float],
        clamp: float | None,
        use_noise: bool,
        fused: bool,
    ) -> None:
        super().__init__()
        layer = partial(
            SynthesisLayer,
            size=size,
            style_dim=style_dim,
            act=act,
            resample_filter=resample_filter,
            clamp=clamp,
            use_noise=use_noise,
            fused=fused,
        )
        residual = architecture == "resnet" and bool(inputs)
        half = math.sqrt(0.5)  # of two summands: the sum has their variance
        if inputs:
            self.conv0 = layer(inputs, outputs, up=2)
        else:
            self.const = nn.Parameter(torch.randn(outputs, size, size))
        self.register_buffer("resample_filter", setup_filter(resample_filter))
        self.conv1 = layer(outputs, outputs, gain=half if residual else 1.0)
        self.torgb: ToRGB | None = None
        if last or architecture == "skip":
            self.torgb = ToRGB(outputs, colours, style_dim, clamp, fused)
        self.skip: EqualConv2d | None = None
        if residual:
            self.skip = EqualConv2d(
                inputs, outputs, 1, bias=False, up=2, resample_filter=resample_filter, gain=half
            )

    def forward(
        self, x: Tensor | None, image: Tensor | None, styles: Sequence[Tensor], noise: Noise
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(activations, image so far) after the first and after the last layer."""
        aside = None if self.skip is None else self.skip(x)
        if x is None:
            x = self.const.expand(len(styles[0]), -1, -1, -1).contiguous()
        else:
            x = self.conv0(x, styles[0], noise[0])
        yield x, image
        x = self.conv1(x, styles[-2], noise[-1])  # (N, outputs, size, size)
        if aside is not None:
            x = x + aside
        if image is not None:
            image = upsample2d(image, self.resample_filter)
        if self.torgb is not None:
            colours = self.torgb(x, styles[-1])  # (N, colours, size, size)
            if colours.dtype != torch.float64:
                colours = colours.float()  # images add up in full precision
            image = colours if image is None else image + colours
        yield x, image


class Synthesis(NoisySynthesis):
    """w of every layer to an image.

    4x4 reads ws[0:2]; every other resolution reads three, of which it shares the first with the one below.
    """

    def __init__(
        self,
        image_size: int,
        style_dim: int,
        channel_base: int,
        channel_max: int,
        colours: int,
        architecture: str,
        act: str,
        resample_filter: Sequence[float],
        clamp: float | None,
        use_noise: bool,
        fused: bool,
    ) -> None:
        super().__init__()
        self.sizes = resolutions(image_size)
        self.n_styles = 2 * len(self.sizes)
        self.channels = [channels_at(size, channel_base, channel_max) for size in self.sizes]
        self.extent = max(channels * size for channels, size in zip(self.channels, self.sizes, strict=True))
        for k, size in enumerate(self.sizes):
            block = SynthesisBlock(
                inputs=self.channels[k - 1] if k else 0,
                outputs=self.channels[k],
                size=size,
                style_dim=style_dim,
                colours=colours,
                architecture=architecture,
                last=size == image_size,
                act=act,
                resample_filter=resample_filter,
                clamp=clamp,
                use_noise=use_noise,
                fused=fused,
            )
            self.add_module(f"b{size}", block)

    def forward(self, ws: Tensor, noise: Noise | None = None, seen: Seen | None = None) -> Tensor:
        """Images (N, colours, size, size), nominally in [-1, 1], of ws (N, n_styles, style_dim).

        ``noise``: one tensor or None for each convolution; default :meth:`constant_noise`. ``seen`` is given
        the activations of the layers that it has as keys.
        """
        image = None
        for name, x, so_far in self.walk(ws, noise):
            image = so_far
            if seen is not None and name in seen:
                seen[name] = x
        assert image is not None
        return image

    def style_layers(self) -> list[StyleLayer]:
        """Convolutions read a style each; colours share theirs with the next resolution's first one."""
        found: list[StyleLayer] = []
        for k, size in enumerate(self.sizes):
            parts = (f"b{size}.conv0", 2 * k - 1, False), (f"b{size}.conv1", 2 * k, False)
            colours = (f"b{size}.torgb", 2 * k + 1, True)
            has_colours = self.get_submodule(f"b{size}").torgb is not None
            found += [StyleLayer(*part) for part in (*parts[k == 0 :], *[colours] * has_colours)]
        return found

    def walk(self, ws: Tensor, noise: Noise | None = None) -> Iterator[tuple[str, Tensor, Tensor | None]]:
        """(name, activations, image so far) layer by layer; names are those of :func:`layer_names`."""
        self.check(ws)
        noise = self.constant_noise() if noise is None else noise
        styles = ws.unbind(dim=1)  # n_styles of (N, style_dim)
        x = image = None
        for k, size in enumerate(self.sizes):
            first = max(2 * k - 1, 0)
            block = self.get_submodule(f"b{size}")
            x = x if x is None else fast_layout(x, self, self.extent)
            layers = block(x, image, styles[first : 2 * k + 2], noise[first : 2 * k + 1])
            for suffix, (x, image) in zip((".0", ""), layers, strict=True):
                yield f"{size}x{size}{suffix}", x, image


class StyleGAN2Generator(StyleBasedGenerator):
    """StyleGAN2's generator, unconditional, conditioned on labels, or on soft rows (``weights @ embedding``).

    In training mode :meth:`generate` adds fresh noise, mixes styles and lets the mean w follow; in eval mode
    an image is a function of latents and condition.

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes, or clusters of all classes; 0 = unconditional.
        latent_dim, style_dim: of z and of w.
        preset: which published run the arguments that are None come from; see
            :mod:`toolbox.models.stylegan2_presets`.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        mapping_layers: depth of the mapping network.
        style_mixing_prob: how often an image in training has two latents, the second from a random layer on.
        architecture: 'skip' (published), 'resnet' or 'orig' (StyleGAN2, fig. 7).
        conv_clamp: largest magnitude of activations; None = any. Published weights were trained with 256.
        noise_mode: 'auto' = 'random' in training and 'const' otherwise; 'const', 'random' (also when
            sampling) or 'none'.
        truncation_cutoff: truncation acts on so many of the first styles; None = all.
        average_beta: of the mean w.
        fused: modulate kernels instead of activations (:func:`toolbox.models.style_ops.modulated_conv2d`).
        image_channels, act, resample_filter, use_noise, embed_features, layer_features, lr_multiplier: as in
            published files that differ from the usual 3, 'lrelu', (1, 3, 3, 1), True, None, None, 0.01.

    ``feature_layers[i]`` is layer i of KLiSH's table II: 2 a resolution, '4x4.0' (the learnt constant),
    '4x4', '8x8.0', '8x8', ...; the last of each resolution has the resolution's name. ``feature_channels``
    are their widths.

    Raises:
        ValueError: naming the argument.
    """

    def __init__(
        self,
        image_size: int = 256,
        n_conditions: int = 0,
        latent_dim: int = 512,
        style_dim: int = 512,
        preset: str = "auto",
        channel_base: int | None = None,
        channel_max: int = 512,
        mapping_layers: int | None = None,
        style_mixing_prob: float | None = None,
        architecture: str = "skip",
        conv_clamp: float | None = 256,
        noise_mode: str = "auto",
        truncation_cutoff: int | None = None,
        average_beta: float = 0.995,
        fused: bool = False,
        image_channels: int = 3,
        act: str = "lrelu",
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        use_noise: bool = True,
        embed_features: int | None = None,
        layer_features: int | None = None,
        lr_multiplier: float = 0.01,
    ) -> None:
        super().__init__()
        check_choice("architecture", architecture, ARCHITECTURES)
        check_choice("noise_mode", noise_mode, NOISE_MODES)
        published = generator_arguments(
            preset,
            image_size,
            channel_base=channel_base,
            mapping_layers=mapping_layers,
            style_mixing_prob=style_mixing_prob,
        )
        check_style_numbers(
            latent_dim,
            style_dim,
            n_conditions,
            truncation_cutoff,
            published["style_mixing_prob"],
            average_beta,
            lr_multiplier,
        )
        widths = given(embed_features=embed_features, layer_features=layer_features)
        check_whole(1, mapping_layers=published["mapping_layers"], image_channels=image_channels, **widths)
        check_in("(-inf, inf)", **numbered("resample_filter", resample_filter))
        check_in("(0, inf]", **given(conv_clamp=conv_clamp))
        self.image_size = image_size
        self.n_conditions = n_conditions
        self.latent_dim = latent_dim
        self.style_dim = style_dim
        self.noise_mode = noise_mode
        self.truncation_cutoff = truncation_cutoff
        self.style_mixing_prob = published["style_mixing_prob"]
        self.synthesis = Synthesis(
            image_size=image_size,
            style_dim=style_dim,
            channel_base=published["channel_base"],
            channel_max=channel_max,
            colours=image_channels,
            architecture=architecture,
            act=act,
            resample_filter=resample_filter,
            clamp=conv_clamp,
            use_noise=use_noise,
            fused=fused,
        )
        self.mapping = Mapping(
            latent_dim=latent_dim,
            n_conditions=n_conditions,
            style_dim=style_dim,
            layers=published["mapping_layers"],
            embed_features=embed_features,
            layer_features=layer_features,
            lr_multiplier=lr_multiplier,
            average_beta=average_beta,
        )
        self.n_styles = self.synthesis.n_styles
        self.feature_layers = layer_names(self.synthesis.sizes)
        self.feature_channels = tuple(c for c in self.synthesis.channels for _ in range(2))
