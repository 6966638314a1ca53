"""Networks against the same mathematics written out plainly: ratios of processor time, forward and backward.

The other sides are in this file: a modulated convolution as a grouped one with a kernel an image, resampling
by inserted zeros, a discriminator's layers in the default layout, a BigGAN block that resamples before and
after its convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.pairs import measure
from toolbox.losses.regularisers import r1_penalty
from toolbox.models.biggan import BigGANDiscriminator, BigGANGenerator, ConditionalBatchNorm, GeneratorBlock
from toolbox.models.layers import upsample
from toolbox.models.style_ops import EqualConv2d, modulated_conv2d
from toolbox.models.upfirdn import setup_filter, upfirdn2d

Print = pytest.CaptureFixture[str]
TAPS = [1.0, 3.0, 3.0, 1.0]


def both_ways(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], None]:
    """Forward, and the gradients of all inputs."""
    leaves = [x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for x in inputs]

    def work() -> None:
        torch.autograd.grad(function(*leaves).square().sum(), leaves)

    return work


def plain_modulated(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Kernels of each image, normalised, in one grouped convolution (StyleGAN2, eqs. 1-3)."""
    kernels = weight[None] * styles[:, None, :, None, None]  # (N, O, I, k, k)
    kernels = kernels * (kernels.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    y = F.conv2d(x.flatten(0, 1)[None], kernels.flatten(0, 1), padding=1, groups=len(x))
    return y.view(len(x), -1, *y.shape[2:])


def plain_upfirdn(x: Tensor, f: Tensor, up: int, down: int, padding: list[int]) -> Tensor:
    """Zeros inserted, padded, filtered in full, pixels dropped."""
    n, c, h, w = x.shape
    x = F.pad(x.view(n, c, h, 1, w, 1), [0, up - 1, 0, 0, 0, up - 1]).view(n, c, h * up, w * up)
    kernel = f.flip([0, 1]).expand(c, 1, *f.shape)
    return F.conv2d(F.pad(x, padding), kernel, groups=c)[:, :, ::down, ::down]


class PlainConv(nn.Module):
    """The same weights as an EqualConv2d: filter, convolution, bias, activation, gain, clamp one by one."""

    def __init__(self, twin: EqualConv2d) -> None:
        super().__init__()
        self.twin = twin

    def forward(self, x: Tensor) -> Tensor:
        """As the twin's."""
        twin, padding = self.twin, self.twin.padding
        if twin.down > 1:
            x = plain_upfirdn(x, twin.resample_filter, 1, 1, [padding + 1] * 4)
            padding = 0
        x = F.conv2d(x, twin.weight * twin.scale, stride=twin.down, padding=padding)
        assert twin.bias is not None and twin.clamp is not None
        x = F.leaky_relu(x + twin.bias[:, None, None], 0.2) * twin.gain
        return x.clamp(-twin.clamp, twin.clamp)


class PlainBlock(nn.Module):
    """A GeneratorBlock of BigGAN: nearest x2, then convolutions at the doubled size."""

    def __init__(self, twin: GeneratorBlock) -> None:
        super().__init__()
        self.twin = twin

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """As the twin's."""
        twin = self.twin
        main = upsample(F.relu(twin.bn1(x, c)))
        main = F.conv2d(main, self._weight(twin.conv2d1), twin.conv2d1.bias, padding=1)
        main = twin.conv2d2(F.relu(twin.bn2(main, c)))
        return main + twin.conv2d0(upsample(x))

    def _weight(self, layer: nn.Module) -> Tensor:
        for hook in layer._forward_pre_hooks.values():
            hook(layer, ())  # spectral normalisation
        weight = layer.weight
        assert isinstance(weight, Tensor)
        return weight


@pytest.mark.parametrize(("n", "channels", "size"), [(8, 128, 32), (4, 256, 32), (4, 512, 8)])
def test_modulated_convolution(benchmark: Any, capsys: Print, n: int, channels: int, size: int) -> None:
    weight, styles = torch.randn(channels, channels, 3, 3), torch.rand(n, channels)
    inputs = torch.randn(n, channels, size, size), weight, styles
    ours = both_ways(lambda x, weight, styles: modulated_conv2d(x, weight, styles, padding=1), *inputs)
    title = f"modulated convolution, {n} x {channels} x {size}^2, against a grouped one"
    measure(title, ours, both_ways(plain_modulated, *inputs), benchmark, capsys, repeats=5)


@pytest.mark.parametrize(("up", "down", "around"), [(2, 1, [2, 1, 2, 1]), (1, 2, [1] * 4), (1, 1, [2] * 4)])
def test_resampling(benchmark: Any, capsys: Print, up: int, down: int, around: list[int]) -> None:
    x, f = torch.randn(8, 128, 32, 32), setup_filter(TAPS)
    x = x.contiguous(memory_format=torch.channels_last)
    ours = both_ways(lambda v: upfirdn2d(v, f, up, down, around), x)
    theirs = both_ways(lambda v: plain_upfirdn(v, f, up, down, around), x)
    measure(f"upfirdn, up {up}, down {down}, against inserted zeros", ours, theirs, benchmark, capsys)


@pytest.mark.parametrize("penalty", [False, True])
def test_discriminator_layers(benchmark: Any, capsys: Print, penalty: bool) -> None:
    """Two layers of StyleGAN2's discriminator, the second halves the size; with and without R1."""
    common: dict[str, Any] = dict(activation="lrelu", clamp=256.0)
    layers = nn.Sequential(EqualConv2d(64, 64, 3, **common), EqualConv2d(64, 64, 3, down=2, **common))
    plain = nn.Sequential(*(PlainConv(layer) for layer in layers if isinstance(layer, EqualConv2d)))
    images = torch.randn(8, 64, 32, 32)

    def step(network: nn.Module) -> Callable[[], None]:
        def work() -> None:
            x = images.clone().requires_grad_(penalty)
            logits = network(x).mean(dim=(1, 2, 3))
            (r1_penalty(x, logits) if penalty else logits.sum()).backward()

        return work

    title = f"StyleGAN2's discriminator layers{', R1' if penalty else ''}, against plain operations"
    measure(title, step(layers), step(plain), benchmark, capsys)


def test_biggan_block(benchmark: Any, capsys: Print) -> None:
    """One generator block, 96 -> 96 channels at 8 -> 16 pixels."""
    block = GeneratorBlock(96, 96, lambda channels: ConditionalBatchNorm(channels, 20, 1e-4))
    x, c = torch.randn(16, 96, 8, 8), torch.randn(16, 20)
    ours, theirs = both_ways(block, x, c), both_ways(PlainBlock(block), x, c)
    measure("BigGAN block, 96 channels, against resampling apart", ours, theirs, benchmark, capsys)


@pytest.mark.parametrize(("channels", "batch"), [(16, 32), (96, 2)])
def test_layout(
    benchmark: Any, capsys: Print, monkeypatch: pytest.MonkeyPatch, channels: int, batch: int
) -> None:
    """A discriminator and a generator step of BigGAN-32: the chosen layout against the default one."""
    generator = BigGANGenerator(channels, n_conditions=0)
    discriminator = BigGANDiscriminator(channels, n_conditions=0)
    latents, images = torch.randn(batch, generator.latent_dim), torch.randn(batch, 3, 32, 32)

    def steps() -> None:
        with torch.no_grad():
            fake = generator(latents)
        (discriminator(fake) - discriminator(images)).sum().backward()
        discriminator.requires_grad_(False)
        discriminator(generator(latents)).sum().backward()
        discriminator.requires_grad_(True)

    def default() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("toolbox.models.biggan.fast_layout", lambda x, network, extent: x.contiguous())
            steps()

    title = f"BigGAN-32, {channels} channels, batch {batch}: chosen layout against the default"
    measure(title, steps, default, benchmark, capsys, repeats=5)
