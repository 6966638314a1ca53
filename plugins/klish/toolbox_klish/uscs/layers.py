"""Layers of GauGAN's networks: normalisation by the statistics of all ranks, and modulation by a mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox import ranks
from toolbox.models.layers import settle, spectral_norm

GAIN = 0.02  # of the initial weights (SPADE, sec. 4; Glorot & Bengio 2010)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm without scale and shift, whose statistics are those of the batch of all ranks.

        y = (x - mean) / sqrt(var + eps), mean and var over (N, H, W) of all processes

    On one process it is torch's BatchNorm2d. torch's SyncBatchNorm needs a GPU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), the same N on each process."""
        if not self.training or not ranks.running():
            return super().forward(x)
        mean, var = self._statistics(x.float())
        if self.track_running_stats:
            self._follow(mean.detach(), var.detach(), x[:, 0].numel() * ranks.world())
        scale = (var + self.eps).rsqrt()
        return (x - mean[:, None, None]) * scale[:, None, None]

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(C) mean and biased variance over the images of all ranks."""
        # two numbers of equal batches: the mean of the ranks' means, and E var + var of the means
        own = torch.stack([x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)])
        every = ranks.gather_rows_with_gradient(own[None])  # (world, 2, C)
        mean = every[:, 0].mean(dim=0)
        return mean, every[:, 1].mean(dim=0) + (every[:, 0] - mean).square().mean(dim=0)

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor, n: int) -> None:
        """The running statistics, as torch keeps them: the variance unbiased."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_((var * n / max(n - 1, 1)).to(self.running_var.dtype), self.momentum)


class Spade(nn.Module):
    """Spatially-adaptive normalisation (SPADE, eq. 1).

        y = gamma(mask) (x - mean) / std + beta(mask), a scale and a shift for each channel and pixel

    gamma = 1 + conv(h), beta = conv(h), h = relu(conv(mask)), the mask brought to x's size.

    Args:
        channels: of x.
        n_parts: channels of the one-hot mask.
        hidden: channels of h (128 in the paper).
    """

    def __init__(self, channels: int, n_parts: int, hidden: int = 128) -> None:
        super().__init__()
        self.param_free_norm = SyncedBatchNorm2d(channels)
        self.mlp_shared = nn.Sequential(nn.Conv2d(n_parts, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, channels, h, w) of x, and of a one-hot mask (N, n_parts, h, w)."""
        hidden = self.mlp_shared(mask)
        return self.param_free_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SpadeBlock(nn.Module):
    """Residual block whose normalisations see the mask (SPADE, fig. 4b); learnt skip where widths differ.

    x -> SPADE, leaky ReLU, conv3x3 -> SPADE, leaky ReLU, conv3x3, plus the skip SPADE, conv1x1.
    """

    def __init__(self, inputs: int, outputs: int, n_parts: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0 = Spade(inputs, n_parts, hidden)
        self.norm_1 = Spade(middle, n_parts, hidden)
        self.learned_shortcut = inputs != outputs
        if self.learned_shortcut:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = Spade(inputs, n_parts, hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w) under a one-hot mask (N, n_parts, h, w)."""
        skip = self.conv_s(self.norm_s(x, mask)) if self.learned_shortcut else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, mask), 0.2))
        return skip + self.conv_1(F.leaky_relu(self.norm_1(y, mask), 0.2))


def one_hot(mask: Tensor, n_parts: int) -> Tensor:
    """(N, n_parts, H, W) float32 of a mask (N, H, W) of whole numbers."""
    parts = torch.arange(n_parts, device=mask.device).view(1, -1, 1, 1)
    return (mask[:, None] == parts).float()


def at_size(maps: Tensor, size: int) -> Tensor:
    """Maps (N, C, H, W) at ``size`` x ``size`` pixels: each takes the nearest one's values."""
    return maps if maps.shape[2] == size else F.interpolate(maps, size=(size, size), mode="nearest")


def initialise(network: nn.Module) -> None:
    """Glorot's normal initialisation with gain 0.02 for every convolution and linear layer; biases 0."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            normalised = hasattr(layer, "weight_orig")
            weight = layer.weight_orig if normalised else layer.weight
            assert isinstance(weight, Tensor)
            nn.init.xavier_normal_(weight, gain=GAIN)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if normalised and not weight.is_meta:  # an outline of a network has no numbers to settle
                settle(layer)
