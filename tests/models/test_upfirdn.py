"""Resampling: equal to the reference, case by case, and exact on small images."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.models.stylegan_filled import DATA, golden
from toolbox.models import upfirdn
from toolbox.models.upfirdn import downsample2d, filter2d, setup_filter, upfirdn2d, upsample2d


def cases(group: str) -> list[dict]:
    with np.load(DATA / "operations.npz") as arrays:
        return json.loads(str(arrays[f"{group}/cases_json"]))


def test_reference() -> None:
    arrays = golden("operations", "upfirdn2d")
    assert len(cases("upfirdn2d")) == 88
    for case in cases("upfirdn2d"):
        key, operation, taps = (
            case.pop("key"),
            getattr(upfirdn, case.pop("op")),
            arrays["filter." + case.pop("filter")],
        )
        result = operation(arrays["x"], taps if taps.numel() else None, **case)
        torch.testing.assert_close(
            result, arrays[key], rtol=2e-5, atol=2e-5, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_filters() -> None:
    assert torch.equal(setup_filter([1, 3, 3, 1])[0], torch.tensor([1.0, 3, 3, 1]) / 64)
    assert setup_filter([1] * 8).shape == (8,) and setup_filter([1, 1], separable=True).shape == (2,)
    assert setup_filter(None).tolist() == [[1.0]]
    assert torch.equal(
        setup_filter([[1, 2], [3, 4]], normalize=False, flip_filter=True), torch.tensor([[4.0, 3], [2, 1]])
    )
    assert setup_filter([1] * 8, gain=4).sum() == pytest.approx(2)  # each of its two passes


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 1], [1, 2, 1], [1] * 12])
def test_a_constant_stays_constant(taps: list[int]) -> None:
    x, f = torch.full((1, 2, 30, 34), 0.7), setup_filter(taps)
    for change in (filter2d(x, f), upsample2d(x, f), downsample2d(x, f)):
        inner = change[:, :, 10:-10, 10:-10] if change.shape[2] > 24 else change[:, :, 6:-6, 6:-6]
        torch.testing.assert_close(inner, torch.full_like(inner, 0.7))
    assert upsample2d(x, f).shape == (1, 2, 60, 68) and downsample2d(x, f).shape == (1, 2, 15, 17)


@pytest.mark.parametrize(
    ("up", "down", "padding", "flip"),
    [
        pytest.param(2, 1, [2, 1, 2, 1], False, marks=pytest.mark.slow),
        pytest.param(2, 1, [0, 0, 5, 4], True, marks=pytest.mark.slow),
        (3, 2, [3, 2, 2, 4], False),
        (1, 2, 1, True),
        (1, 2, [0, 1, 2, 0], False),  # sizes that the stride does not divide
        (1, 1, [2, 2, 1, 1], False),
        (1, 1, [-1, 2, 2, -1], False),
    ],
)
def test_first_and_second_derivatives(up: int, down: int, padding: int | list[int], flip: bool) -> None:
    f = setup_filter([[1, 3, 2, 4], [0, 2, 5, 1]]).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.double, requires_grad=True)

    def change(v: torch.Tensor) -> torch.Tensor:
        return upfirdn2d(v, f, up, down, padding, flip, gain=4)

    assert torch.autograd.gradcheck(change, (x,)) and torch.autograd.gradgradcheck(change, (x,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: upfirdn2d(x, None, padding=[1, 2, 3]),
            r"padding=\[1, 2, 3\] must be p, \[x, y\] or \[x0, x1, y0, y1\]",
        ),
        (lambda x: upfirdn2d(x, None, up=0), r"up=0 must be 1 or more"),
        (
            lambda x: upfirdn2d(x, setup_filter([1] * 5)),
            r"4x4 pixels is 4x4 after .*: smaller than the filter, 5x5",
        ),
        (lambda x: setup_filter(torch.ones(1, 2, 3)), r"got shape \(1, 2, 3\)"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(1, 1, 4, 4))  # type: ignore[operator]
