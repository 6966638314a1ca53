"""Training on the rows near the margin finds what training on all rows finds, in fewer passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from toolbox import ranks, testing
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.svm import working_set
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.newton import train_on_all
from toolbox_klish.svm.planes import Planes
from toolbox_klish.svm.products import second_moments, to_tf32
from toolbox_klish.toy import curved_clusters

WIDTH, CLASSES = 8, 5


def mixture(rows: int = 12_000) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Classes that overlap, so that every class has rows inside its margin."""
    return curved_clusters(rows=rows, width=WIDTH, classes=CLASSES, seed=4, spread=3.0, noise=0.8)


def planes_of(X: NDArray[np.float32], labels: NDArray[np.int64], everywhere: bool) -> tuple[Planes, int]:
    blocks = FeatureBlocks(X, "float64")
    start = Planes(torch.zeros(CLASSES, WIDTH), torch.zeros(CLASSES))
    train = train_on_all if everywhere else working_set.train
    return train(blocks, torch.from_numpy(labels), list(range(CLASSES)), start, C=1000.0)


@pytest.mark.parametrize("room", ["enough", "for the sample only", "none"])
def test_the_minimum_is_that_of_all_rows(monkeypatch: pytest.MonkeyPatch, room: str) -> None:
    """Whether the rows near the margin fit in the memory set aside, or the class has to be trained on all."""
    if room != "enough":
        monkeypatch.setattr(working_set, "ROOM", {"cpu": 0 if room == "none" else CLASSES * WIDTH * 8 * 2000})
    X, labels = mixture()
    expected, all_passes = planes_of(X, labels, everywhere=True)
    found, passes = planes_of(X, labels, everywhere=False)
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-8 * float(expected.weight.abs().max()))
    np.testing.assert_allclose(found.bias, expected.bias, atol=1e-8)
    assert passes <= all_passes / 2 or room != "enough"


def test_small_sets_are_trained_on_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample would not stand for the rest."""
    monkeypatch.setattr(working_set, "WorkingSets", None)
    planes_of(*mixture(working_set.LEAST * WIDTH - 1), everywhere=False)
    with pytest.raises(TypeError):
        planes_of(*mixture(working_set.LEAST * WIDTH), everywhere=False)


def test_passes_that_do_not_suffice_are_warned_of() -> None:
    X, labels = mixture()
    blocks = FeatureBlocks(X)
    start = Planes(torch.zeros(1, WIDTH), torch.zeros(1))
    words = "1 of 1 support vector machines did not converge in max_passes=2 passes"
    with pytest.warns(UserWarning, match=words):
        working_set.train(blocks, torch.from_numpy(labels), [0], start, C=1000.0, max_passes=2)


def fit_on_ranks() -> dict[str, NDArray[np.float64]]:
    X = mixture()[0]
    if ranks.running():
        X = X[:5000] if ranks.rank() == 0 else X[5000:]
    return KLiSH(clusters=6, C=1000.0, filter_sigma=None, precision="float64").fit(X).state()


def test_ranks_gather_their_own_rows() -> None:
    expected = fit_on_ranks()
    for state in testing.run_ranks(fit_on_ranks):
        np.testing.assert_array_equal(state["merges"], expected["merges"])
        np.testing.assert_allclose(state["weight"], expected["weight"], atol=1e-6)


def test_tf32_has_ten_bits_after_the_point() -> None:
    halves = torch.tensor([1.0, -1.0, 1 + 2**-10, 3.5e38 / 2, 0.0, 1e-30]).half()
    kept = halves.float().nan_to_num(posinf=2.0**100)
    assert torch.equal(to_tf32(kept), kept)
    rounded = to_tf32(torch.tensor([1 + 2**-11, 1 + 2**-12, -1 - 2**-11]))
    assert torch.equal(rounded, torch.tensor([1 + 2**-10, 1.0, -1 - 2**-10]))
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    assert 0 < float((second_moments(x, rounded=True) - second_moments(x)).abs().max()) < 50 * 2**-9
    assert torch.equal(second_moments(x.double(), rounded=True), second_moments(x.double()))


@pytest.mark.parametrize("rows", [900, pytest.param(12_000, marks=pytest.mark.slow)])
def test_rounded_hessians_change_nothing(rows: int) -> None:
    """Only the steps differ: gradients are not rounded."""
    X = 1.2345 * mixture(rows)[0]
    same = KLiSH(clusters=8, filter_sigma=None, hessian="same").fit(X)
    rounded = KLiSH(clusters=8, filter_sigma=None, hessian="tf32").fit(X)
    np.testing.assert_array_equal(rounded.merges_, same.merges_)
    np.testing.assert_allclose(rounded.iou_, same.iou_, atol=1e-3)
    weight = same.cut(4).weight_
    np.testing.assert_allclose(rounded.cut(4).weight_, weight, atol=1e-4 * np.abs(weight).max())
    assert rounded.passes_ <= 1.3 * same.passes_
