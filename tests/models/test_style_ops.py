"""Operations of style-based networks: equal to the reference, case by case."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.models.stylegan_filled import golden
from tests.models.test_upfirdn import cases
from toolbox.models import style_ops
from toolbox.models.style_ops import EqualConv2d, EqualLinear, bias_act, conv2d_resample, modulated_conv2d
from toolbox.models.upfirdn import setup_filter

CLOSE = dict(rtol=2e-5, atol=2e-5)


def test_bias_act_reference() -> None:
    arrays = golden("operations", "bias_act")
    assert len(cases("bias_act")) == 99
    for case in cases("bias_act"):
        key, x, b = case.pop("key"), arrays[case.pop("x")], case.pop("b")
        torch.testing.assert_close(
            bias_act(x, None if b is None else arrays[b], **case), arrays[key], **CLOSE
        )


@pytest.mark.parametrize("fused", [False, True])
def test_convolution_reference(fused: bool) -> None:
    arrays = golden("operations", "conv_ops")
    for case in cases("conv_ops"):
        key, operation, weight = case.pop("key"), case.pop("op"), arrays[f"w{case.pop('k')}"]
        if operation == "modulated_conv2d":
            noise = case.pop("noise")
            case.update(styles=arrays["styles"], noise=None if noise is None else arrays[noise], fused=fused)
        result = getattr(style_ops, operation)(arrays["x"], weight, f=arrays["filter"], **case)
        torch.testing.assert_close(result, arrays[key], **CLOSE, msg=lambda text, key=key: f"{key}: {text}")


def test_the_shortcuts_equal_the_definition() -> None:
    """Zeros between pixels, filter, convolve, filter, drop pixels: with products that the shortcuts leave
    out.
    """
    from toolbox.models.upfirdn import upfirdn2d

    x, weight, f = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3), setup_filter([1, 3, 3, 1])
    slow = F.conv2d(upfirdn2d(x, f, up=2, padding=[3, 2, 3, 2], gain=4), weight)
    torch.testing.assert_close(conv2d_resample(x, weight, f, up=2, padding=1), slow, **CLOSE)
    slow = F.conv2d(upfirdn2d(x, f, padding=[2, 2, 2, 2]), weight)[:, :, ::2, ::2]
    torch.testing.assert_close(conv2d_resample(x, weight, f, down=2, padding=1), slow, **CLOSE)


def test_demodulated_activations_have_unit_variance() -> None:
    torch.manual_seed(0)
    x, weight, styles = torch.randn(4, 64, 16, 16), torch.randn(32, 64, 3, 3), torch.randn(4, 64) * 5
    assert modulated_conv2d(x, weight, styles, padding=1).std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("fused", [False, True])
def test_half_precision_does_not_overflow(fused: bool) -> None:
    torch.manual_seed(0)
    x, weight, styles = 200 * torch.randn(2, 64, 4, 4), 50 * torch.randn(8, 64, 3, 3), 20 * torch.randn(2, 64)
    exact = modulated_conv2d(x, weight, styles, padding=1, fused=fused)
    half = modulated_conv2d(x.half(), weight, styles, padding=1, fused=fused)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), exact, rtol=0.02, atol=2)
    with torch.autocast("cpu", dtype=torch.float16):
        torch.testing.assert_close(
            modulated_conv2d(x, weight, styles, padding=1, fused=fused).float(), exact, rtol=0.02, atol=2
        )


@torch.no_grad()
def test_equalised_layers() -> None:
    torch.manual_seed(0)
    linear = EqualLinear(400, 50, lr_multiplier=0.01, bias_init=3, activation="lrelu")
    x = torch.randn(8, 400)
    expected = F.leaky_relu(x @ linear.weight.t() * 0.01 / 20 + 0.03, 0.2) * math.sqrt(2)
    torch.testing.assert_close(linear(x), expected, **CLOSE)
    assert linear.weight.std() == pytest.approx(100, rel=0.05)
    conv = EqualConv2d(6, 5, 3, activation="lrelu", down=2, clamp=0.5, gain=math.sqrt(0.5))
    y = conv(10 * torch.randn(2, 6, 8, 8))
    assert y.shape == (2, 5, 4, 4) and y.abs().max() == pytest.approx(0.5 * math.sqrt(0.5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x).dtype == torch.float32 and conv(torch.randn(2, 6, 8, 8)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(act="lrelo"), r"activation='lrelo' is not known.*did you mean 'lrelu'"),
        (dict(b=torch.zeros(3)), r"b has shape \(3,\), expected \(5,\): x is \(2, 5\), dim=1"),
    ],
)
def test_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bias_act(torch.zeros(2, 5), **arguments)
