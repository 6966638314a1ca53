"""StyleGAN2's discriminator in the layout of NVIDIA's PyTorch release: its published weights load by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator
from toolbox.models.conditions import soft_one_hot
from toolbox.models.layers import fast_layout
from toolbox.models.style_based import channels_at, check_choice, resolutions
from toolbox.models.style_ops import EqualConv2d, EqualLinear
from toolbox.models.stylegan2 import ARCHITECTURES, Mapping
from toolbox.models.stylegan2_presets import discriminator_arguments
from toolbox.models.upfirdn import downsample2d, setup_filter
from toolbox.ranges import check_in, check_positive, check_whole, given, numbered
from toolbox.tf32 import without_autocast


def minibatch_std(x: Tensor, group: int | None, channels: int = 1, eps: float = 1e-8) -> Tensor:
    """x (N, C, H, W) with ``channels`` more maps: how much the images of a group differ (PGGAN, section 3).

    Image n belongs to group n mod (N / group). Each map is one number a group: the standard deviation over
    the group, averaged over its share of the channels and over positions.

    Raises:
        ValueError: when N is no multiple of the group.
    """
    n, c, h, w = x.shape
    group = n if group is None else min(group, n)
    if n % group:
        raise ValueError(
            f"minibatch_std_group={group} does not divide the {n} images at hand: make the images of a step "
            f"(batch_size / (processes repeat accumulate)) a multiple of {group}, or the group smaller"
        )
    y = x.float().view(group, n // group, channels, c // channels, h, w)
    deviation = (y.var(dim=0, unbiased=False) + eps).sqrt().mean(dim=(2, 3, 4))  # (N / group, channels)
    maps = deviation.to(x.dtype).repeat(group, 1)  # (N, channels)
    maps = maps[:, :, None, None].expand(-1, -1, h, w)
    return torch.cat([x, maps], dim=1)


class Block(nn.Module):
    """One resolution: colours in (where the architecture has it), two convolutions, the second halves it.

    ``inputs`` = 0: the first block, which sees the image in any architecture (StyleGAN2, fig. 7).
    """

    resample_filter: Tensor

    def __init__(
        self, inputs: int, middle: int, outputs: int, colours: int, architecture: str, common: dict[str, Any]
    ) -> None:
        super().__init__()
        resample_filter = common["resample_filter"]
        residual = architecture == "resnet"
        gain = math.sqrt(0.5) if residual else 1.0  # of two summands: the sum has their variance
        self.register_buffer("resample_filter", setup_filter(resample_filter))
        self.fromrgb: EqualConv2d | None = None
        if not inputs or architecture == "skip":
            self.fromrgb = EqualConv2d(colours, middle, 1, **common)
        self.conv0 = EqualConv2d(middle, middle, 3, **common)
        self.conv1 = EqualConv2d(middle, outputs, 3, down=2, gain=gain, **common)
        self.skip: EqualConv2d | None = None
        if residual:
            self.skip = EqualConv2d(
                middle, outputs, 1, bias=False, down=2, resample_filter=resample_filter, gain=gain
            )
        self.pass_image = architecture == "skip"

    def forward(self, x: Tensor | None, image: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Activations (N, outputs, H/2, W/2) of (N, inputs, H, W), and the next block's image, if any."""
        if self.fromrgb is not None:
            colours = self.fromrgb(image)
            x = colours if x is None else x + colours
        image = downsample2d(image, self.resample_filter) if self.pass_image and image is not None else None
        aside = None if self.skip is None else self.skip(x)
        x = self.conv1(self.conv0(x))
        if aside is not None:
            x = aside + x
        return x, image


class Epilogue(nn.Module):
    """4x4 to one vector: minibatch statistics, convolution, two fully connected layers; always float32."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        colours: int,
        architecture: str,
        group: int | None,
        std_channels: int,
        common: dict[str, Any],
    ) -> None:
        super().__init__()
        act = common["activation"]
        self.group = group
        self.std_channels = std_channels
        self.fromrgb = EqualConv2d(colours, channels, 1, activation=act) if architecture == "skip" else None
        self.conv = EqualConv2d(channels + std_channels, channels, 3, **common)
        self.fc = EqualLinear(channels * 4 * 4, channels, activation=act)
        self.out = EqualLinear(channels, outputs)

    def forward(self, x: Tensor, image: Tensor | None) -> Tensor:
        """(N, outputs) of activations (N, channels, 4, 4)."""
        with without_autocast(x.device):
            x = x.to(self.out.weight.dtype)
            if self.fromrgb is not None and image is not None:
                x = x + self.fromrgb(image)
            if self.std_channels:
                x = minibatch_std(x, self.group, self.std_channels)
            x = self.conv(x).flatten(1)  # (N, channels * 16)
            return self.out(self.fc(x))


class StyleGAN2Discriminator(Discriminator):
    """StyleGAN2's discriminator, unconditional or projected on an embedding of the class.

        D(x, c) = <h(x), m(c)> / sqrt(d)   with m the mapping network of c and d its width
        D(x) = h(x)                        without classes

    Minibatch statistics couple the images of a group, in eval mode too. Groups are formed of the images at
    hand: with several processes, or split for accumulation, of each part's own images. A label of -1, or no
    condition at all, is judged under c = 0.

    Fine-tuning with frozen first layers (Freeze-D): ``freeze_layers=['b256.', 'b128.conv0']`` in the
    network's config; the layers of a block, from the image on, are fromrgb, conv0, conv1, skip.

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes; 0 = unconditional.
        preset: which published run the arguments that are None come from; see
            :mod:`toolbox.models.stylegan2_presets`.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        architecture: 'resnet' (published), 'orig' (its CIFAR runs) or 'skip'.
        minibatch_std_group: images of a group; 0 = all at hand.
        minibatch_std_channels: maps of statistics; 0 = none.
        conv_clamp: largest magnitude of activations; None = any. Published weights were trained with 256.
        mapping_layers: depth of m; 8 in all published runs but some converted ones.
        condition_dim: d; None = the channels at 4x4.
        image_channels, act, resample_filter, lr_multiplier: as in published files that differ from 3,
            'lrelu', (1, 3, 3, 1), 0.01.

    Raises:
        ValueError: naming the argument.
    """

    def __init__(
        self,
        image_size: int = 256,
        n_conditions: int = 0,
        preset: str = "auto",
        channel_base: int | None = None,
        channel_max: int = 512,
        architecture: str | None = None,
        minibatch_std_group: int | None = None,
        minibatch_std_channels: int = 1,
        conv_clamp: float | None = 256,
        mapping_layers: int = 8,
        condition_dim: int | None = None,
        image_channels: int = 3,
        act: str = "lrelu",
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        lr_multiplier: float = 0.01,
    ) -> None:
        super().__init__()
        chosen = discriminator_arguments(
            preset,
            image_size,
            channel_base=channel_base,
            architecture=architecture,
            minibatch_std_group=minibatch_std_group,
        )
        architecture = str(chosen["architecture"])
        check_choice("architecture", architecture, ARCHITECTURES)
        check_whole(0, n_conditions=n_conditions, minibatch_std_channels=minibatch_std_channels)
        check_whole(0, minibatch_std_group=chosen["minibatch_std_group"], mapping_layers=mapping_layers)
        own_width = given(condition_dim=condition_dim)
        check_whole(1, image_channels=image_channels, **own_width)
        check_in("(-inf, inf)", **numbered("resample_filter", resample_filter))
        check_in("(0, inf]", **given(conv_clamp=conv_clamp))
        check_positive(lr_multiplier=lr_multiplier)
        self.image_size = image_size
        self.n_conditions = n_conditions
        self.image_channels = image_channels
        common = dict(activation=act, resample_filter=resample_filter, clamp=conv_clamp)
        sizes = resolutions(image_size)
        widths = {size: channels_at(size, chosen["channel_base"], channel_max) for size in sizes}
        self.extent = max(width * size for size, width in widths.items())
        self.blocks: list[str] = []
        for size in reversed(sizes[1:]):
            block = Block(
                inputs=0 if size == image_size else widths[size],
                middle=widths[size],
                outputs=widths[size // 2],
                colours=image_channels,
                architecture=architecture,
                common=common,
            )
            self.add_module(f"b{size}", block)
            self.blocks.append(f"b{size}")
        width = 0
        if n_conditions:
            width = widths[4] if condition_dim is None else condition_dim
        if width:
            self.mapping = Mapping(
                0, n_conditions, width, mapping_layers, lr_multiplier=lr_multiplier, average_beta=None
            )
        self.b4 = Epilogue(
            channels=widths[4],
            outputs=width or 1,
            colours=image_channels,
            architecture=architecture,
            group=chosen["minibatch_std_group"] or None,
            std_channels=minibatch_std_channels,
            common=common,
        )

    def encode(self, images: Tensor) -> Tensor:
        """h (N, d) of images (N, 3, size, size); d = 1 without classes."""
        expected = (self.image_channels, self.image_size, self.image_size)
        if images.shape[1:] != expected:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, expected (N, {', '.join(map(str, expected))}): "
                f"image_size of the discriminator and of the data must agree"
            )
        x = None
        image = fast_layout(images, self, self.extent)
        for name in self.blocks:  # from the image's size down to 8x8
            x, image = self.get_submodule(name)(x, image)
        return self.b4(x, image)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of h (N, d).

        ``condition.labels`` count before ``condition.weights`` (a soft choice among classes).

        Raises:
            ValueError: for a condition that does not fit the classes.
        """
        if not self.n_conditions:
            return features.squeeze(1)
        code = soft_one_hot(
            condition,
            self.n_conditions,
            type(self).__name__,
            labels_first=True,
            hidden=True,
            default=features.new_zeros(len(features), self.n_conditions),
        )
        embedded = self.mapping(None, code.to(self.mapping.embed.weight.dtype))  # (N, d)
        return (features * embedded).sum(dim=1) / math.sqrt(embedded.shape[1])
