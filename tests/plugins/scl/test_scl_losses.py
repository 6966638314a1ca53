"""Contrastive losses against values and gradients of the published implementations, and their properties.

The recorded arrays come from SupContrast, T2I_CL and UniCL's formula, run once.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from toolbox_scl.losses import label_cross_entropy, nt_xent, supervised_contrast, unified_contrast

with np.load(Path(__file__).parent / "data" / "scl_losses.npz", allow_pickle=False) as file:
    RECORDED = {name: torch.from_numpy(file[name]) for name in file.files}
LABELS = RECORDED["labels"]
NAMES = ("i1", "t1", "i2", "t2")
TEMPERATURES = pytest.mark.parametrize("tau", [0.07, 0.1, 0.5])


def codes(gradient: bool = False) -> list[Tensor]:
    return [RECORDED[name].clone().requires_grad_(gradient) for name in NAMES]


def random_codes(n: int = 5, views: int = 4, seed: int = 0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return list(torch.randn(views, n, 7, generator=rng))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


@TEMPERATURES
def test_joint_loss_and_its_gradients(tau: float) -> None:
    views = codes(gradient=True)
    loss = supervised_contrast(views, LABELS, tau)
    close(loss, RECORDED[f"supcon_quad_tau{tau}"])
    loss.backward()
    for name, view in zip(NAMES, views, strict=True):
        assert view.grad is not None
        close(view.grad, RECORDED[f"grad_{name}_tau{tau}"])


@TEMPERATURES
@pytest.mark.parametrize("pair", ["i1i2", "t1t2", "i1t2", "i2t1", "i1t1", "i2t2"])
def test_two_view_terms(tau: float, pair: str) -> None:
    views = [RECORDED[pair[:2]], RECORDED[pair[2:]]]
    close(supervised_contrast(views, LABELS, tau), RECORDED[f"supcon_{pair}_tau{tau}"])


@TEMPERATURES
def test_without_labels(tau: float) -> None:
    each = torch.arange(len(LABELS))
    close(nt_xent(RECORDED["i1"], RECORDED["i2"], tau), RECORDED[f"ntxent_i1i2_tau{tau}"])
    close(nt_xent(RECORDED["t1"], RECORDED["t2"], tau), RECORDED[f"ntxent_t1t2_tau{tau}"])
    close(supervised_contrast(codes(), each, tau), RECORDED[f"supcon_quad_pairlabels_tau{tau}"])


@TEMPERATURES
def test_images_with_texts_alone(tau: float) -> None:
    i1, t1, i2, t2 = codes()
    images, texts, labels = torch.cat([i1, i2]), torch.cat([t1, t2]), torch.cat([LABELS, LABELS])
    for form in ("mean", "sum"):
        close(unified_contrast(images, texts, labels, tau, form), RECORDED[f"unicl_{form}_tau{tau}"])


def test_sets_of_labels() -> None:
    sets = RECORDED["multilabel"].float()
    share = sets @ sets.t() > 0
    close(supervised_contrast(codes(), share, 0.1), RECORDED["supcon_quad_multilabel_any_tau0.1"])


def test_weights_are_shares() -> None:
    """Ones and zeros are a mask; a factor for a whole row changes nothing."""
    mask = LABELS[:, None] == LABELS[None, :]
    factors = torch.tensor([1.0, 2.0, 0.5, 3.0, 0.1, 7.0])[:, None]
    close(supervised_contrast(codes(), mask * factors, 0.1), supervised_contrast(codes(), LABELS, 0.1))


def test_ignored_pairs_are_in_no_denominator() -> None:
    """Leaving out all that is not positive leaves a uniform choice among positives at best: log |P|."""
    views = [torch.ones(4, 3)] * 2
    labels = torch.tensor([0, 0, 1, 2])
    loss = supervised_contrast(views, labels, 0.5, ignored=torch.ones(4, 4, dtype=torch.bool))
    assert loss.item() == pytest.approx((4 * math.log(3) + 4 * math.log(1)) / 8, abs=1e-6)


def test_invariant_to_scale_order_and_branch() -> None:
    views, labels = random_codes(), torch.tensor([0, 1, 1, 2, 0])
    loss = supervised_contrast(views, labels, 0.1)
    order = torch.tensor([3, 0, 4, 1, 2])
    i1, t1, i2, t2 = views
    close(supervised_contrast([view * 3.7 for view in views], labels, 0.1), loss)
    close(supervised_contrast([view[order] for view in views], labels[order], 0.1), loss)
    close(supervised_contrast([i2, t2, i1, t1], labels, 0.1), loss)


def test_equal_codes_of_one_label() -> None:
    views = [torch.ones(5, 3)] * 4
    assert supervised_contrast(views, torch.zeros(5), 0.1).item() == pytest.approx(math.log(19), rel=1e-6)


def test_gradient_is_orthogonal_to_the_codes() -> None:
    views = [view.requires_grad_() for view in random_codes()]
    supervised_contrast(views, torch.tensor([0, 1, 1, 2, 0]), 0.1).backward()
    for view in views:
        assert view.grad is not None and view.grad.abs().max() > 1e-3
        assert (view * view.grad).sum(dim=1).abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(dtype: torch.dtype) -> None:
    views, labels = random_codes(), torch.tensor([0, 1, 1, 2, 0])
    with torch.autocast("cpu", dtype=dtype):
        inside = supervised_contrast(views, labels, 0.01)
        assert unified_contrast(views[0], views[1], labels, 0.01).dtype == torch.float32
    assert torch.equal(inside, supervised_contrast(views, labels, 0.01))
    low = [(200 * view).to(dtype) for view in views]  # sums of their squares overflow in half precision
    with torch.autocast("cpu", dtype=dtype):
        assert supervised_contrast(low, labels, 0.01).isfinite()


def test_cross_entropy_of_labels_and_of_sets() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    one = label_cross_entropy(logits, torch.tensor([0, -1]))
    torch.testing.assert_close(one, torch.tensor([-float(logits[0].log_softmax(0)[0]), 0.0]))
    several = label_cross_entropy(logits, torch.tensor([[True, False, False], [False, True, True]]))
    by_hand = -(torch.sigmoid(torch.tensor([2.0, 0.0, 1.0])).log()).mean()
    torch.testing.assert_close(several, torch.stack([by_hand, torch.tensor(math.log(2))]))


def test_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"codes have shapes \[\(5, 7\), \(5, 6\)\]"):
        supervised_contrast([torch.ones(5, 7), torch.ones(5, 6)], torch.zeros(5), 0.1)
    with pytest.raises(
        ValueError, match=r"positives have shape \(3,\): expected \(5,\), \(5, 5\) or \(20, 20\)"
    ):
        supervised_contrast(random_codes(), torch.zeros(3), 0.1)
