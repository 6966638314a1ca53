"""StyleGAN2 and StyleGAN2-ADA in the layout of NVIDIA's PyTorch release: its published weights load by name.

Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020 (StyleGAN2); Training Generative Adversarial
Networks with Limited Data, NeurIPS 2020 (ADA). Settings of the published runs: :mod:`toolbox.models.stylegan2_presets`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toolbox import ranks
from toolbox.interfaces import Condition, Generator, Sample, draw_rows
from toolbox.models.conditions import soft_one_hot
from toolbox.models.layers import fast_layout, near
from toolbox.models.style_ops import (
    EqualConv2d,
    EqualLinear,
    activation,
    bias_act,
    modulated_conv2d,
    normalise_second_moment,
)
from toolbox.models.stylegan2_presets import generator_arguments
from toolbox.models.upfirdn import setup_filter, upsample2d

ARCHITECTURES = ("skip", "resnet", "orig")
NOISE_MODES = ("auto", "const", "random", "none")
Noise = Sequence[Tensor | None]


class Mapping(nn.Module):
    """z (and c) to w: normalised, concatenated, through fully connected layers that learn slowly (StyleGAN2-ADA, fig. 2).

    Args:
        latent_dim: of z; 0 = the condition alone.
        n_conditions: rows of the one-hot c; 0 = none.
        style_dim: of w.
        layers: fully connected layers.
        embed_features, layer_features: widths of c's embedding and of hidden layers; None = ``style_dim``.
        lr_multiplier: of the layers.
        average_beta: how slowly the mean w follows; None = there is none.
    """

    def __init__(self, latent_dim: int, n_conditions: int, style_dim: int, layers: int = 8, embed_features: int | None = None,
                 layer_features: int | None = None, lr_multiplier: float = 0.01, average_beta: float | None = 0.995) -> None:
        super().__init__()
        embedded = (embed_features or style_dim) if n_conditions else 0
        widths = [latent_dim + embedded, *[layer_features or style_dim] * (layers - 1), style_dim]
        if n_conditions:
            self.embed = EqualLinear(n_conditions, embedded)
        self.layers = [f"fc{i}" for i in range(layers)]
        for i, name in enumerate(self.layers):
            self.add_module(name, EqualLinear(widths[i], widths[i + 1], activation="lrelu", lr_multiplier=lr_multiplier))
        self.average_beta = average_beta
        if average_beta is not None:
            self.w_avg: Tensor
            self.register_buffer("w_avg", torch.zeros(style_dim))

    def forward(self, latents: Tensor | None, code: Tensor | None = None) -> Tensor:
        """w (N, style_dim) of z (N, latent_dim) and rows c (N, n_conditions) that sum to 1."""
        parts = [] if latents is None else [normalise_second_moment(latents)]
        if code is not None:
            parts.append(normalise_second_moment(self.embed(code)))
        x = torch.cat(parts, dim=1)
        for name in self.layers:
            x = self.get_submodule(name)(x)
        return x

    @torch.no_grad()
    def track(self, w: Tensor) -> None:
        """Move the mean w towards that of a batch (of all ranks)."""
        if self.average_beta is not None:
            self.w_avg.lerp_(ranks.mean_over_ranks(w.float().mean(dim=0)), 1 - self.average_beta)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU (StyleGAN2, fig. 2c)."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, style_dim: int, up: int = 1, gain: float = 1.0,
                 act: str = "lrelu", taps: Sequence[float] = (1, 3, 3, 1), clamp: float | None = None, use_noise: bool = True,
                 fused: bool = False) -> None:
        super().__init__()
        self.size, self.up, self.act, self.use_noise, self.fused = size, up, act, use_noise, fused
        self.gain, self.clamp = activation(act).gain * gain, None if clamp is None else clamp * gain
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        if use_noise:
            self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", setup_filter(taps))
        if use_noise:
            self.register_buffer("noise_const", torch.randn(size, size))
        self.affine = EqualLinear(style_dim, inputs, bias_init=1)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, up H, up W); ``noise`` (N, 1, H', W') or (H', W') of variance 1."""
        noise = None if noise is None else (noise * self.noise_strength).to(x.dtype)
        x = modulated_conv2d(x, self.weight, self.affine(w), noise, self.up, padding=1, f=self.resample_filter,
                             flip_weight=self.up == 1, fused=self.fused)
        return bias_act(x, self.bias, act=self.act, gain=self.gain, clamp=self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to colours, without demodulation and noise."""

    def __init__(self, inputs: int, colours: int, style_dim: int, clamp: float | None, fused: bool) -> None:
        super().__init__()
        self.scale, self.clamp, self.fused = 1 / math.sqrt(inputs), clamp, fused
        self.weight = nn.Parameter(torch.randn(colours, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colours))
        self.affine = EqualLinear(style_dim, inputs, bias_init=1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, colours, H, W)."""
        x = modulated_conv2d(x, self.weight, self.affine(w) * self.scale, demodulate=False, fused=self.fused)
        return bias_act(x, self.bias, clamp=self.clamp)


class SynthesisBlock(nn.Module):
    """The layers of one resolution: the learnt constant or a x2 convolution, a convolution, and what goes into the image."""

    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, style_dim: int, colours: int, architecture: str, last: bool,
                 act: str, taps: Sequence[float], clamp: float | None, use_noise: bool, fused: bool) -> None:
        super().__init__()
        common: dict[str, Any] = dict(act=act, taps=taps, clamp=clamp, use_noise=use_noise, fused=fused)
        residual = architecture == "resnet" and bool(inputs)
        if inputs:
            self.conv0 = SynthesisLayer(inputs, outputs, size, style_dim, up=2, **common)
        else:
            self.const = nn.Parameter(torch.randn(outputs, size, size))
        self.register_buffer("resample_filter", setup_filter(taps))
        self.conv1 = SynthesisLayer(outputs, outputs, size, style_dim, gain=math.sqrt(0.5) if residual else 1.0, **common)
        self.torgb = ToRGB(outputs, colours, style_dim, clamp, fused) if last or architecture == "skip" else None
        self.skip = EqualConv2d(inputs, outputs, 1, bias=False, up=2, resample_filter=taps, gain=math.sqrt(0.5)) \
            if residual else None

    def forward(self, x: Tensor | None, image: Tensor | None, styles: Sequence[Tensor],
                noise: Noise) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(activations, image so far) after the first and after the last layer."""
        if x is None:
            aside, x = None, fast_layout(self.const.expand(len(styles[0]), -1, -1, -1))
        else:
            aside, x = None if self.skip is None else self.skip(x), self.conv0(x, styles[0], noise[0])
        yield x, image
        x = self.conv1(x, styles[-2], noise[-1])
        x = x if aside is None else x + aside
        image = None if image is None else upsample2d(image, self.resample_filter)
        if self.torgb is not None:
            colours = self.torgb(x, styles[-1])
            colours = colours if colours.dtype == torch.float64 else colours.float()
            image = colours if image is None else image + colours
        yield x, image


class Synthesis(nn.Module):
    """w of every layer to an image. Layer 4x4 reads ws[0:2], every other resolution three, of which it shares the first."""

    def __init__(self, image_size: int, style_dim: int, channel_base: int, channel_max: int, colours: int, architecture: str,
                 act: str, taps: Sequence[float], clamp: float | None, use_noise: bool, fused: bool) -> None:
        super().__init__()
        self.sizes = resolutions(image_size)
        self.n_styles = 2 * len(self.sizes)
        self.channels = [channels_at(size, channel_base, channel_max) for size in self.sizes]
        for k, size in enumerate(self.sizes):
            self.add_module(f"b{size}", SynthesisBlock(
                self.channels[k - 1] if k else 0, self.channels[k], size, style_dim, colours, architecture,
                size == image_size, act, taps, clamp, use_noise, fused))

    def forward(self, ws: Tensor, noise: Noise | None = None) -> Tensor:
        """Images (N, colours, size, size), nominally in [-1, 1], of ws (N, n_styles, style_dim).

        ``noise``: one tensor or None for each convolution; default :meth:`constant_noise`.
        """
        image = None
        for _, _, so_far in self.walk(ws, noise):
            image = so_far
        assert image is not None
        return image

    def walk(self, ws: Tensor, noise: Noise | None = None) -> Iterator[tuple[str, Tensor, Tensor | None]]:
        """(tap, activations, image so far) layer by layer; taps are '4x4.0', '4x4', '8x8.0', '8x8', ..."""
        if ws.ndim != 3 or ws.shape[1] != self.n_styles:
            raise ValueError(f"ws have shape {tuple(ws.shape)}, expected (N, {self.n_styles}, style_dim)")
        styles, noise = ws.unbind(dim=1), self.constant_noise() if noise is None else noise
        x = image = None
        for k, size in enumerate(self.sizes):
            layers = self.get_submodule(f"b{size}")(x, image, styles[max(2 * k - 1, 0) : 2 * k + 2],
                                                    noise[max(2 * k - 1, 0) : 2 * k + 1])
            for suffix, (x, image) in zip((".0", ""), layers, strict=True):
                yield f"{size}x{size}{suffix}", x, image

    def layers(self) -> list[SynthesisLayer]:
        """The convolutions, in order."""
        return [module for module in self.modules() if isinstance(module, SynthesisLayer)]

    def constant_noise(self) -> list[Tensor | None]:
        """The noise that is part of the weights."""
        return [layer.noise_const if layer.use_noise else None for layer in self.layers()]

    def random_noise(self, n: int, rng: torch.Generator | None, like: Tensor) -> list[Tensor | None]:
        """Fresh noise (N, 1, H, W) for each convolution, drawn on the CPU."""
        return [draw_rows(lambda n, s=layer.size: torch.randn(n, 1, s, s, generator=rng), n, rng).to(like)  # type: ignore[misc]
                if layer.use_noise else None for layer in self.layers()]


class StyleGAN2Generator(Generator):
    """StyleGAN2's generator, unconditional, conditioned on labels, or on soft rows (``weights @ embedding``).

    In training mode :meth:`generate` adds fresh noise, mixes styles and lets the mean w follow; in eval mode an image is a
    function of latents and condition.

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes, or clusters of all classes; 0 = unconditional.
        latent_dim, style_dim: of z and of w.
        preset: which published run the arguments that are None come from; see :mod:`toolbox.models.stylegan2_presets`.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        mapping_layers: depth of the mapping network.
        style_mixing_prob: how often an image in training has two latents, the second from a random layer on.
        architecture: 'skip' (published), 'resnet' or 'orig' (StyleGAN2, fig. 7).
        conv_clamp: largest magnitude of activations; None = any. Published weights were trained with 256.
        noise_mode: 'auto' = 'random' in training and 'const' otherwise; 'const', 'random' (also when sampling) or 'none'.
        truncation_cutoff: truncation acts on so many of the first styles; None = all.
        average_beta: of the mean w.
        fused: modulate kernels instead of activations (:func:`toolbox.models.style_ops.modulated_conv2d`).
        image_channels, act, resample_filter, use_noise, embed_features, layer_features, lr_multiplier: as in published
            files that differ from the usual 3, 'lrelu', (1, 3, 3, 1), True, None, None, 0.01.

    ``feature_layers[i]`` is tap i of KLiSH's table II: 2 a resolution, '4x4.0' (the learnt constant), '4x4', '8x8.0', '8x8', ...;
    the last of each resolution has the resolution's name. ``feature_channels`` are their widths.

    Raises:
        ValueError: naming the argument.
    """

    bounded = False

    def __init__(self, image_size: int = 256, n_conditions: int = 0, latent_dim: int = 512, style_dim: int = 512,
                 preset: str = "auto", channel_base: int | None = None, channel_max: int = 512,
                 mapping_layers: int | None = None, style_mixing_prob: float | None = None, architecture: str = "skip",
                 conv_clamp: float | None = 256, noise_mode: str = "auto", truncation_cutoff: int | None = None,
                 average_beta: float = 0.995, fused: bool = False, image_channels: int = 3, act: str = "lrelu",
                 resample_filter: Sequence[float] = (1, 3, 3, 1), use_noise: bool = True, embed_features: int | None = None,
                 layer_features: int | None = None, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        check_choice("architecture", architecture, ARCHITECTURES)
        check_choice("noise_mode", noise_mode, NOISE_MODES)
        published = generator_arguments(preset, image_size, channel_base=channel_base, mapping_layers=mapping_layers,
                                        style_mixing_prob=style_mixing_prob)
        self.image_size, self.n_conditions, self.latent_dim, self.style_dim = image_size, n_conditions, latent_dim, style_dim
        self.noise_mode, self.truncation_cutoff = noise_mode, truncation_cutoff
        self.style_mixing_prob = published["style_mixing_prob"]
        self.synthesis = Synthesis(image_size, style_dim, published["channel_base"], channel_max, image_channels, architecture,
                                   act, resample_filter, conv_clamp, use_noise, fused)
        self.mapping = Mapping(latent_dim, n_conditions, style_dim, published["mapping_layers"], embed_features,
                               layer_features, lr_multiplier, average_beta)
        self.n_styles = self.synthesis.n_styles
        self.feature_layers = tuple(f"{r}x{r}{end}" for r in self.synthesis.sizes for end in (".0", ""))
        self.feature_channels = tuple(c for c in self.synthesis.channels for _ in range(2))

    def forward(self, latents: Tensor, condition: Condition | None = None, truncation: float = 1.0,
                rng: torch.Generator | None = None) -> Tensor:
        """Images (N, 3, size, size), nominally in [-1, 1], of latents (N, latent_dim); ``rng`` feeds random noise."""
        ws = self.styles(self.style_latent(latents, condition), truncation)
        return self.synthesis(ws, self.noise(ws, rng))

    def generate(self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None) -> Sample:
        """Images with their styles, ``extras['ws']`` (N, n_styles, style_dim); in eval mode clipped to [-1, 1]."""
        w = self.style_latent(latents, condition)
        if self.training:
            self.mapping.track(w)
        ws = self._mixed(self.styles(w), condition, rng) if self.training else self.styles(w)
        images = self.synthesis(ws, self.noise(ws, rng))
        images = images if self.training else images.clamp(-1, 1)
        return Sample(images, Condition() if condition is None else condition, latents, extras={"ws": ws})

    def style_latent(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """w (N, style_dim) of latents (N, latent_dim), not truncated.

        Raises:
            ValueError: for latents or a condition that do not fit.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"latents have shape {tuple(latents.shape)}, expected (N, {self.latent_dim})")
        code = soft_one_hot(condition, self.n_conditions, type(self).__name__) if self.n_conditions else None
        return self.mapping(latents, None if code is None else code.to(latents))

    def styles(self, w: Tensor, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """ws (N, n_styles, style_dim): w for every layer, the first ``cutoff`` pulled to the mean w (StyleGAN, appendix B)."""
        ws = w.unsqueeze(1).expand(-1, self.n_styles, -1)
        if truncation == 1:
            return ws
        cutoff = self.truncation_cutoff if cutoff is None else cutoff
        near_mean = torch.lerp(self.mapping.w_avg.to(w), w, truncation).unsqueeze(1)
        return torch.cat([near_mean.expand_as(ws[:, :cutoff]), ws[:, self.n_styles if cutoff is None else cutoff :]], dim=1)

    def truncated(self, latents: Tensor, condition: Condition | None, truncation: float) -> Tensor:
        """Truncation acts on w, not on z."""
        return self(latents, condition, truncation)

    def noise(self, ws: Tensor, rng: torch.Generator | None = None) -> Noise:
        """What is added to the activations, by ``noise_mode``."""
        mode = ("random" if self.training else "const") if self.noise_mode == "auto" else self.noise_mode
        if mode == "random":
            return self.synthesis.random_noise(len(ws), rng, ws)
        return self.synthesis.constant_noise() if mode == "const" else [None] * (self.n_styles - 1)

    def features(self, latents: Tensor, condition: Condition | None, layers: Sequence[str], truncation: float = 1.0,
                 rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """{layer: (N, C, h, w)} for names out of ``feature_layers``: after bias, leaky ReLU and gain. Stops at the last one.

        Raises:
            ValueError: for a name that is not among them.
        """
        for layer in layers:
            check_choice("layers", layer, self.feature_layers)
        ws = self.styles(self.style_latent(latents, condition), truncation)
        taps: dict[str, Tensor] = {}
        for tap, x, _ in self.synthesis.walk(ws, self.noise(ws, rng)):
            taps[tap] = x
            if set(layers) <= set(taps):
                break
        return {layer: taps[layer] for layer in layers}

    def _mixed(self, ws: Tensor, condition: Condition | None, rng: torch.Generator | None) -> Tensor:
        """Style mixing (StyleGAN, section 3.1): from one random layer on, the styles of second latents, same condition."""
        coin, layer = torch.rand(2, generator=rng).tolist()  # of the batch: the same on all ranks
        if coin >= self.style_mixing_prob:
            return ws
        cutoff = 1 + int(layer * (self.n_styles - 1))
        second = draw_rows(lambda n: self.sample_latents(n, rng), len(ws), rng).to(ws)
        return torch.cat([ws[:, :cutoff], self.styles(self.style_latent(second, condition))[:, cutoff:]], dim=1)


def resolutions(image_size: int) -> list[int]:
    """[4, 8, ..., image_size].

    Raises:
        ValueError: unless it is a power of two from 4 on.
    """
    if image_size < 4 or image_size & (image_size - 1):
        below = 1 << max(int(image_size).bit_length() - 1, 2)
        raise ValueError(f"image_size={image_size} must be a power of two from 4 on, such as {below} or {2 * below}")
    return [1 << i for i in range(2, image_size.bit_length())]


def channels_at(size: int, channel_base: int, channel_max: int) -> int:
    """Channels of the layers at size x size pixels."""
    return min(channel_base // size, channel_max)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is not one of {list(allowed)}{near(value, allowed)}")
