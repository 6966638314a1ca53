"""Resampling convolutions equal the two operations that they merge; attention starts as the identity."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from toolbox.models.biggan import SelfAttention
from toolbox.models.layers import (
    WIDE,
    DownsampleConv2d,
    SmallMapConv2d,
    UpsampleConv2d,
    fast_layout,
    initialise,
    leaky_relu,
    settle,
    spectral_norm,
)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_upsample_convolution(layout: torch.memory_format) -> None:
    layer, x = UpsampleConv2d(3, 5, 3, padding=1), torch.randn(2, 3, 4, 6).contiguous(memory_format=layout)
    expected = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_downsample_convolution(layout: torch.memory_format) -> None:
    layer, x = DownsampleConv2d(3, 5, 3, padding=1), torch.randn(2, 3, 4, 6).contiguous(memory_format=layout)
    expected = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [UpsampleConv2d, DownsampleConv2d])
def test_resampling_gradients(kind: type[torch.nn.Conv2d]) -> None:
    layer, x = (
        kind(1, 2, 3, padding=1).double(),
        torch.randn(1, 1, 2, 2, dtype=torch.double, requires_grad=True),
    )
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "stride", "bias"), [(4, 2, False), (3, 1, True)])
def test_convolution_to_a_small_map(
    layout: torch.memory_format, kernel: int, stride: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = SmallMapConv2d(3, 5, kernel, stride, padding=1, bias=bias)
    x = torch.randn(2, 3, 8, 6).contiguous(memory_format=layout).requires_grad_()
    leaves = [x, *layer.parameters()]
    expected = layer(x)  # few weights: torch's convolution
    gradients = torch.autograd.grad(expected.square().sum(), leaves)
    monkeypatch.setattr("toolbox.models.layers.MANY_WEIGHTS", 1)
    found = layer(x)
    assert found.grad_fn is not None and "Convolution" not in found.grad_fn.name()
    assert found.stride() == expected.stride()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    others = torch.autograd.grad(found.square().sum(), leaves)
    torch.testing.assert_close(others, gradients, atol=1e-4, rtol=1e-4)
    assert "Convolution" in layer(x.repeat(20, 1, 1, 1)).grad_fn.name()  # at many places


def test_leaky_relu_has_no_second_derivative() -> None:
    x = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    assert torch.equal(leaky_relu(x), F.leaky_relu(x, 0.2))
    assert torch.autograd.gradcheck(leaky_relu, (x,)) and torch.autograd.gradgradcheck(leaky_relu, (x,))
    scaled, reached = 2 * x, []
    (first,) = torch.autograd.grad(leaky_relu(scaled).sum(), x, create_graph=True)
    scaled.register_hook(reached.append)
    assert torch.autograd.grad(first.sum(), x, allow_unused=True) == (None,)
    assert all(gradient is None for gradient in reached)


@pytest.mark.parametrize(
    ("extent", "learns", "last"), [(WIDE, True, False), (WIDE, False, True), (WIDE - 1, True, True)]
)
def test_wide_networks_learn_in_the_default_layout(extent: int, learns: bool, last: bool) -> None:
    network = torch.nn.Conv2d(2, 2, 3).requires_grad_(learns)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = fast_layout(torch.randn(2, 2, 4, 4).contiguous(memory_format=layout), network, extent)
        assert x.is_contiguous(memory_format=torch.channels_last) == last != x.is_contiguous()
    with torch.no_grad():
        assert fast_layout(x, network, extent).is_contiguous(memory_format=torch.channels_last)
    turned = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert fast_layout(x, turned, extent).is_contiguous(memory_format=torch.channels_last)


def test_attention_starts_as_the_identity_and_mixes_positions() -> None:
    layer, x = SelfAttention(8), torch.randn(1, 8, 4, 4)
    assert torch.equal(layer(x), x)
    torch.nn.init.ones_(layer.sigma)
    changed = x.clone()
    changed[..., 0, 0] += 1
    assert ((layer(changed) - layer(x)).abs()[..., 3, 3] > 0).any()


@torch.no_grad()
def test_settled_spectral_norm_is_the_top_singular_value() -> None:
    layer = spectral_norm(torch.nn.Linear(6, 4)).eval()
    settle(layer, iterations=200)
    layer(torch.zeros(1, 6))
    sigma = torch.linalg.svdvals(layer.weight_orig)[0]
    torch.testing.assert_close(layer.weight, layer.weight_orig / sigma)


def test_unknown_initialiser() -> None:
    with pytest.raises(ValueError, match=r"init='orthogonl' is not known.*did you mean 'orthogonal'"):
        initialise(torch.nn.Linear(2, 2), "orthogonl")
