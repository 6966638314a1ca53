"""KLiSH against independent exact solutions and against the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from toolbox.registry import build
from toolbox_klish.algorithm.initial import by_size, filtered, separable
from toolbox_klish.algorithm.kmeans import centre_planes, nearest
from toolbox_klish.algorithm.solvers import NewtonSolver
from toolbox_klish.svm.blocks import FeatureBlocks

Arrays = dict[str, np.ndarray]
CASES = [("toy2d_k4", 100.0, 1000), ("mix64_k14", 5000.0, 20)]


def fitted(arrays: Arrays, **changes: Any) -> Any:
    settings = dict(type="KLiSH", clusters=int(arrays["K"][0]), C=float(arrays["C"]), filter_sigma=None)
    return build({**settings, **changes}).fit(arrays["X"], initial=arrays["labels0"])


@pytest.mark.parametrize(("name", "C", "calls"), CASES)
@pytest.mark.parametrize(
    ("precision", "iou", "ecos", "planes"), [("float64", 1e-6, 1e-6, 1e-10), ("float32", 1e-3, 1e-4, 1e-4)]
)
def test_exact_merges(
    reference: Callable[[str], Arrays],
    name: str,
    C: float,
    calls: int,
    precision: str,
    iou: float,
    ecos: float,
    planes: float,
) -> None:
    arrays = reference(name)
    assert arrays["C"] == C
    found = fitted(arrays, precision=precision)
    merges = np.stack([arrays["K"], arrays["exact_kept"], arrays["exact_removed"]], axis=1)
    np.testing.assert_array_equal(found.merges_, merges)
    np.testing.assert_array_equal(found.nodes_, arrays["merge_ids"])
    np.testing.assert_array_equal(found.sizes_, np.nan_to_num(arrays["size"]))
    np.testing.assert_allclose(found.iou_, arrays["exact_iou"], atol=iou)
    np.testing.assert_allclose(found.ecos_, arrays["exact_ecos_row"], atol=ecos)
    for k in (k for k in arrays["K"] if f"labels_K{k}" in arrays):
        cut = found.cut(k)
        np.testing.assert_array_equal(cut.labels_, arrays[f"labels_K{k}"])
        np.testing.assert_array_equal(cut.predict(arrays["X"]), arrays[f"exact_pred_K{k}"])
        for ours, theirs in ((cut.weight_, arrays[f"exact_W_K{k}"]), (cut.bias_, arrays[f"exact_b_K{k}"])):
            np.testing.assert_allclose(ours, theirs, atol=planes * np.abs(theirs).max())


@pytest.mark.parametrize(("name", "C", "calls"), CASES)
def test_the_original_loop(reference: Callable[[str], Arrays], name: str, C: float, calls: int) -> None:
    """All classes by capped L-BFGS: the authors' merges, and their scores within what the cap leaves open."""
    arrays = reference(name)
    found = fitted(arrays, solver="joint", joint_calls=calls)
    np.testing.assert_array_equal(found.merges_[:, 1:], np.stack([arrays["kept"], arrays["removed"]], axis=1))
    np.testing.assert_allclose(found.iou_, arrays["iou"], atol=1e-3)
    np.testing.assert_allclose(found.ecos_, arrays["ecos_row"], atol=1e-3)


def test_labels_from_centres(mixture: Arrays) -> None:
    blocks = FeatureBlocks(mixture["X"])
    labels, order = by_size(blocks, nearest(blocks, torch.from_numpy(mixture["centroids"])), 14)
    np.testing.assert_array_equal(labels, mixture["labels0"])
    np.testing.assert_array_equal(order, mixture["order"])


def test_filter(mixture: Arrays) -> None:
    blocks = FeatureBlocks(mixture["X"], "float64")
    order = mixture["order"]
    centres = torch.from_numpy(mixture["centroids"][order].astype(np.float64))
    labels = torch.from_numpy(mixture["labels0"].astype(np.int64))
    found = filtered(blocks, labels, centres, NewtonSolver(C=5000.0), 1.0, "euclidean")
    np.testing.assert_array_equal(found["kept"], mixture["filter_keep"])
    away = np.abs(found["centres"].numpy()[:, None] - mixture["filter_centroids"][None]).max(axis=2)
    match = away.argmin(axis=1)
    np.testing.assert_allclose(found["centres"], mixture["filter_centroids"][match], atol=1e-4)
    np.testing.assert_array_equal(match[found["labels"]], mixture["filter_labels"])


def test_filter_threshold(mixture: Arrays) -> None:
    iou = mixture["exact_iou"][0].astype(np.float64)
    np.testing.assert_array_equal(separable(iou, 1.0), mixture["filter_keep"])
    np.testing.assert_array_equal(separable(iou, 1.0), mixture["filter_logit"] > mixture["filter_tau"])
    assert separable(np.ones(4), 1.0).all()


def test_centre_planes_have_a_largest_bias_of_one_half(mixture: Arrays) -> None:
    planes = centre_planes(torch.from_numpy(mixture["centroids"]))
    assert float(planes.bias.abs().max()) == pytest.approx(0.5)
