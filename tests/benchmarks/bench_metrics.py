"""Metrics against their common libraries, as pairs: torch-fidelity (``pip install torch-fidelity``) for the
Inception network, KID, precision and recall, and scipy's matrix square root for the Frechet distance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch

from tests.benchmarks.pairs import measure
from toolbox.metrics.extractors import FIDInception
from toolbox.metrics.extractors.inception_network import InceptionNetwork
from toolbox.metrics.functional import (
    few_sample_distance,
    frechet_distance,
    precision_recall,
    subset_indices,
    subset_kernel_distances,
)

D = 2048
Pair = tuple[np.ndarray, np.ndarray]


def theirs(module: str) -> Any:
    """A module of torch-fidelity, or the test is skipped."""
    return pytest.importorskip(f"torch_fidelity.{module}", reason="torch-fidelity is not installed")


def features(n: int, width: int = D, factor: float = 1.02) -> Pair:
    """Two sets that lie like Inception's features: not negative, of some forty directions and noise."""
    rng = np.random.default_rng(0)
    directions = 0.1 * rng.normal(size=(40, width))

    def drawn(scale: float) -> np.ndarray:
        rows = 0.3 + scale * rng.normal(size=(n, 40)) @ directions + 0.1 * rng.normal(size=(n, width))
        return rows.clip(0).astype(np.float32)

    return drawn(1.0), drawn(factor)


def test_inception(benchmark: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Features of 16 images of 32 px, the same random weights in both networks."""
    network = theirs("feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    path = tmp_path / "weights.pth"
    torch.save(InceptionNetwork().state_dict(), path)
    ours = FIDInception(path, sha256=None)
    other = network("bench", ["2048"], feature_extractor_weights_path=str(path))
    pixels = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    images = pixels.float() / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours(images), other(pixels)[0], rtol=1e-4, atol=1e-5)
        title = "Inception, 16 images, against torch-fidelity"
        measure(title, lambda: ours(images), lambda: other(pixels), benchmark, capsys, repeats=3)


@pytest.mark.parametrize("n", [2000, 5000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_kid(benchmark: Any, capsys: pytest.CaptureFixture[str], n: int, dtype: torch.dtype) -> None:
    """10 subsets of 1000: ours as accurate as their float64, whatever their type."""
    other = theirs("metric_kid").kid_features_to_metric
    real, fake = features(n)
    kernel = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_coef0": 1.0}
    options = dict(kernel, kid_kernel_poly_gamma=None, kid_subsets=10, kid_subset_size=1000)
    real_rows, fake_rows = (torch.from_numpy(rows).to(dtype) for rows in (real, fake))

    def run_theirs() -> float:
        found = other(fake_rows, real_rows, rng_seed=2020, verbose=False, **options)
        return float(found["kernel_inception_distance_mean"])

    def run_ours() -> float:
        return float(subset_kernel_distances(real, fake, subset_indices(n, n, 10, 1000)).mean())

    difference = run_ours() - run_theirs()
    title = f"KID, 10 subsets of 1000 out of {n}, against torch-fidelity in {dtype} ({difference:+.0e} apart)"
    measure(title, run_ours, run_theirs, benchmark, capsys, repeats=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_precision_recall(benchmark: Any, capsys: pytest.CaptureFixture[str], dtype: torch.dtype) -> None:
    """Sets of 5000: ours with the comparisons of float64, whatever their type."""
    other = theirs("metric_prc").prc_features_to_metric
    real, fake = features(5000)
    real_rows, fake_rows = (torch.from_numpy(rows).to(dtype) for rows in (real, fake))
    options = dict(prc_neighborhood=3, prc_batch_size=10_000, save_cpu_ram=False, verbose=False)
    title = f"precision and recall, N = 5000, against torch-fidelity in {dtype}"
    measure(
        title,
        lambda: precision_recall(real, fake),
        lambda: other(fake_rows, real_rows, **options),
        benchmark,
        capsys,
        repeats=3,
    )


def test_frechet_from_moments(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """512 features: eigenvalues against ``scipy.linalg.sqrtm`` of the product of covariances."""
    moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in features(2000, 512)]
    (m1, c1), (m2, c2) = moments

    def by_square_root() -> float:
        root = scipy.linalg.sqrtm(c1 @ c2)
        return float((m1 - m2) @ (m1 - m2) + np.trace(c1 + c2) - 2 * np.trace(root).real)

    assert frechet_distance(m1, c1, m2, c2) == pytest.approx(by_square_root(), abs=1e-6)
    title = "Frechet distance of 512 features, against scipy's sqrtm"
    measure(title, lambda: frechet_distance(m1, c1, m2, c2), by_square_root, benchmark, capsys, repeats=5)


def test_frechet_of_few_images(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """200 images of 512 features: the nuclear norm against the way from moments."""
    real, fake = (x.astype(np.float64) for x in features(200, 512))

    def from_moments() -> float:
        gaussians = [part for x in (real, fake) for part in (x.mean(0), np.cov(x, rowvar=False))]
        return frechet_distance(*gaussians)

    title = "Frechet distance of 200 images, 512 features, against ours from moments"
    measure(title, lambda: few_sample_distance(real, fake), from_moments, benchmark, capsys)
