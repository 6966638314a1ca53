"""Frechet distance of 512 features, from moments (the eigenvalue way) and from few images (the
nuclear norm).
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from toolbox.metrics.functional import few_sample_distance, frechet_distance

D = 512


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(2 * D, D)), rng.normal(size=(2 * D, D)) * 1.1


def test_frechet_from_moments(benchmark: BenchmarkFixture, features: tuple[np.ndarray, np.ndarray]) -> None:
    gaussians = [part for x in features for part in (x.mean(0), np.cov(x, rowvar=False))]
    assert benchmark(frechet_distance, *gaussians) > 0


def test_frechet_of_few_images(benchmark: BenchmarkFixture, features: tuple[np.ndarray, np.ndarray]) -> None:
    assert benchmark(few_sample_distance, features[0][:200], features[1][:200]) > 0
