"""The Inception-v3 of FID: the 2015 TensorFlow graph in torchvision's names, 566 tensors, 1008 classes.

Source: Szegedy et al. 2016, "Rethinking the Inception architecture", and the graph that Heusel et al. 2017
published. It differs from torchvision's network in its average pools, which leave padding out of the mean,
and in its last block, which has a max pool in place of an average pool (an accident of that graph, kept
because all published FIDs have it).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = {"64": 64, "192": 192, "768": 768, "2048": 2048, "logits": 1008, "logits_unbiased": 1008}


class ConvBN(nn.Module):
    """Convolution without bias, batch normalisation by stored moments, ReLU: computed as one convolution.

    The normalisation is folded into weight and bias when weights are loaded, in float64. Both are buffers
    that no state dict holds.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, c_in: int, c_out: int, kernel_size: Any, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel_size, bias=False, **options)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3)
        self.register_buffer("weight", None, persistent=False)
        self.register_buffer("bias", None, persistent=False)
        self.register_load_state_dict_post_hook(_fold_loaded)

    def forward(self, x: Tensor) -> Tensor:
        if self.weight is None:
            self.fold()
        assert self.weight is not None
        padding: Any = self.conv.padding
        return F.conv2d(x, self.weight, self.bias, self.conv.stride, padding).relu_()

    @torch.no_grad()
    def fold(self) -> None:
        """Take weight and bias from the convolution and the moments as they are now."""
        mean, variance = self.bn.running_mean, self.bn.running_var
        assert mean is not None and variance is not None
        scale = self.bn.weight.double() * (variance.double() + self.bn.eps).rsqrt()
        bias = self.bn.bias.double() - mean.double() * scale
        weight = self.conv.weight.double() * scale.view(-1, 1, 1, 1)
        self.weight, self.bias = weight.to(self.conv.weight.dtype), bias.to(self.bn.bias.dtype)


def _fold_loaded(module: nn.Module, _: Any) -> None:
    assert isinstance(module, ConvBN)
    module.fold()


def _average_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _in_parts(block: nn.Module, x: Tensor, size: int = 4) -> Tensor:
    """A few images at a time: the first layers' maps are so large that a batch of them leaves the cache."""
    return torch.cat([block(part) for part in x.split(size)])


class InceptionA(nn.Module):
    """1x1 | 5x5 | two 3x3 | pool."""

    def __init__(self, c_in: int, c_pool: int) -> None:
        super().__init__()
        self.branch1x1 = ConvBN(c_in, 64, 1)
        self.branch5x5_1 = ConvBN(c_in, 48, 1)
        self.branch5x5_2 = ConvBN(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvBN(c_in, 64, 1)
        self.branch3x3dbl_2 = ConvBN(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvBN(96, 96, 3, padding=1)
        self.branch_pool = ConvBN(c_in, c_pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        pooled = self.branch_pool(_average_pool(x))
        return torch.cat([self.branch1x1(x), five, double, pooled], dim=1)


class InceptionB(nn.Module):
    """Halves the size: 3x3 stride 2 | two 3x3 | max pool."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.branch3x3 = ConvBN(c_in, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvBN(c_in, 64, 1)
        self.branch3x3dbl_2 = ConvBN(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvBN(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], dim=1)


class InceptionC(nn.Module):
    """1x1 | 7x7 as 1x7 and 7x1 | the same twice | pool."""

    def __init__(self, c_in: int, c: int) -> None:
        super().__init__()
        row: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
        column: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = ConvBN(c_in, 192, 1)
        self.branch7x7_1 = ConvBN(c_in, c, 1)
        self.branch7x7_2 = ConvBN(c, c, **row)
        self.branch7x7_3 = ConvBN(c, 192, **column)
        self.branch7x7dbl_1 = ConvBN(c_in, c, 1)
        self.branch7x7dbl_2 = ConvBN(c, c, **column)
        self.branch7x7dbl_3 = ConvBN(c, c, **row)
        self.branch7x7dbl_4 = ConvBN(c, c, **column)
        self.branch7x7dbl_5 = ConvBN(c, 192, **row)
        self.branch_pool = ConvBN(c_in, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average_pool(x))], dim=1)


class InceptionD(nn.Module):
    """Halves the size: 3x3 stride 2 | 7x7 and 3x3 stride 2 | max pool."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.branch3x3_1 = ConvBN(c_in, 192, 1)
        self.branch3x3_2 = ConvBN(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvBN(c_in, 192, 1)
        self.branch7x7x3_2 = ConvBN(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = ConvBN(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = ConvBN(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), wide, F.max_pool2d(x, 3, stride=2)], dim=1)


class InceptionE(nn.Module):
    """1x1 | 3x3 split into 1x3 and 3x1 | the same after a 3x3 | pool (average, or max in the last block)."""

    def __init__(self, c_in: int, max_pool: bool) -> None:
        super().__init__()
        self.max_pool = max_pool
        self.branch1x1 = ConvBN(c_in, 320, 1)
        self.branch3x3_1 = ConvBN(c_in, 384, 1)
        self.branch3x3_2a = ConvBN(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = ConvBN(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = ConvBN(c_in, 448, 1)
        self.branch3x3dbl_2 = ConvBN(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = ConvBN(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = ConvBN(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = ConvBN(c_in, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.max_pool else _average_pool(x)
        singles = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        doubles = [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *singles, *doubles, self.branch_pool(pooled)], dim=1)


class InceptionNetwork(nn.Module):
    """Pooled activations and logits of Inception-v3 in FID's form."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvBN(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvBN(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvBN(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvBN(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvBN(80, 192, 3)
        self.Mixed_5b = InceptionA(192, c_pool=32)
        self.Mixed_5c = InceptionA(256, c_pool=64)
        self.Mixed_5d = InceptionA(288, c_pool=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, c=128)
        self.Mixed_6c = InceptionC(768, c=160)
        self.Mixed_6d = InceptionC(768, c=160)
        self.Mixed_6e = InceptionC(768, c=192)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280, max_pool=False)
        self.Mixed_7c = InceptionE(2048, max_pool=True)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor, layer: str = "2048") -> Tensor:
        """Activations (N, 64 | 192 | 768 | 2048), averaged over positions, of images (N, 3, 299, 299)."""
        on_cpu = x.device.type == "cpu"
        if on_cpu:  # a quarter faster there; every later layer keeps the layout
            x = x.contiguous(memory_format=torch.channels_last)
        for name, block in self.blocks():
            x = _in_parts(block, x) if on_cpu and name in ("64", "192") else block(x)
            if name == layer:
                break
        return x.mean(dim=(2, 3))

    def logits(self, features: Tensor, bias: bool) -> Tensor:
        """Logits (N, 1008) of the last activations (N, 2048); the Inception Score's leave the bias out."""
        return F.linear(features, self.fc.weight, self.fc.bias if bias else None)

    def blocks(self) -> list[tuple[str, nn.Module]]:
        """The graph as a list, each stretch named by the layer that it ends in."""
        pool = nn.MaxPool2d(3, stride=2)
        mixed_5 = self.Mixed_5b, self.Mixed_5c, self.Mixed_5d
        mixed_6 = self.Mixed_6a, self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e
        return [
            ("64", nn.Sequential(self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3, pool)),
            ("192", nn.Sequential(self.Conv2d_3b_1x1, self.Conv2d_4a_3x3, pool)),
            ("768", nn.Sequential(*mixed_5, *mixed_6)),
            ("2048", nn.Sequential(self.Mixed_7a, self.Mixed_7b, self.Mixed_7c)),
        ]
