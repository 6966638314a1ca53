"""Precision, recall, density, coverage: reference values, scikit-learn's neighbours, swaps, errors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.metrics.toys import golden
from toolbox.metrics.functional import neighbour_radii, neighbours, precision_recall

ARRAYS = golden("precision_recall")
REAL, FAKE = ARRAYS["real"], ARRAYS["fake"]


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("block", [7, 128, 4096])
def test_shares_are_exact_at_any_block_size(k: int, block: int) -> None:
    found = precision_recall(REAL, FAKE, k, block)
    assert found == {
        name: float(ARRAYS[f"{name}_k{k}"]) for name in ("precision", "recall", "density", "coverage")
    }


@pytest.mark.parametrize("k", [3, 5])
def test_radii(k: int) -> None:
    np.testing.assert_allclose(neighbour_radii(REAL, k), ARRAYS[f"radii_real_k{k}"], rtol=1e-6)
    np.testing.assert_allclose(neighbour_radii(FAKE, k), ARRAYS[f"radii_fake_k{k}"], rtol=1e-6)


def test_radii_are_scikit_learns() -> None:
    distances, _ = NearestNeighbors(n_neighbors=4).fit(REAL.astype(float)).kneighbors()
    np.testing.assert_allclose(neighbour_radii(REAL, 4), distances[:, -1], rtol=1e-9)


def test_precision_and_recall_swap_with_the_sets() -> None:
    there, back = precision_recall(REAL, FAKE), precision_recall(FAKE, REAL)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


def test_a_large_common_offset_changes_nothing() -> None:
    assert precision_recall(REAL.astype(float) + 1e5, FAKE.astype(float) + 1e5) == precision_recall(
        REAL, FAKE
    )


def test_same_and_distant_sets() -> None:
    assert {precision_recall(REAL, REAL)[name] for name in ("precision", "recall", "coverage")} == {1.0}
    assert set(precision_recall(REAL, REAL + 1000).values()) == {0.0}


def by_differences(real: np.ndarray, fake: np.ndarray, k: int = 3) -> dict[str, float]:
    """The definitions, from all squared distances in float64, each the sum of squared differences."""
    real, fake = real.astype(float), fake.astype(float)
    within, without = ([((a - x) ** 2).sum(axis=1) for a in s] for s, x in ((real, real), (fake, fake)))
    radii = [np.sort(np.stack(d) + np.diag([np.inf] * len(d)), axis=1)[:, k - 1] for d in (within, without)]
    cross = np.stack([((a - fake) ** 2).sum(axis=1) for a in real])
    in_real, in_fake = cross <= radii[0][:, None], cross <= radii[1]
    return {
        "precision": float(in_real.any(axis=0).mean()),
        "recall": float(in_fake.any(axis=1).mean()),
        "density": float(in_real.sum() / (k * len(fake))),
        "coverage": float(in_real.any(axis=1).mean()),
    }


def hard_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sets whose comparisons float32 cannot make, or no rounding at all."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 64)), rng.normal(size=(130, 64))
    copies = np.concatenate([x[:20]] * 6)
    lattice = rng.integers(0, 3, (2, 200, 4)).astype(float)
    far = np.zeros((150, 64))
    far[0] = 1e6
    return {
        "plain": (x, y),
        "float32": (x.astype(np.float32), y.astype(np.float32)),
        "ties on a lattice": (lattice[0], lattice[1]),
        "copies of real images": (x, x[::2]),
        "nearly copies": (x, x[:130] + 1e-9 * y),
        "one image only": (x, np.repeat(y[:1], 130, axis=0)),
        "few modes": (x, copies),
        "few modes, hardly apart": (x, copies + 1e-6 * y[:120]),
        "an outlier": (x + far, y),
        "an offset": (x + 1e5, y + 1e5),
        "tiny": (1e-30 * x, 1e-30 * y),
        "huge": (1e30 * x, 1e30 * y),
        "no spread": (np.ones((150, 8)), np.ones((130, 8))),
    }


@pytest.mark.parametrize("name", hard_sets())
@pytest.mark.parametrize("block", [64, 1024])
def test_comparisons_are_exactly_those_of_float64(name: str, block: int) -> None:
    real, fake = hard_sets()[name]
    assert precision_recall(real, fake, block=block) == by_differences(real, fake)
    assert precision_recall(fake, real, block=block) == by_differences(fake, real)


def test_most_comparisons_need_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[int] = []
    exact = neighbours.exact_distances

    def counted(x: neighbours.Points, i: np.ndarray, y: neighbours.Points, j: np.ndarray) -> np.ndarray:
        pairs.append(len(i))
        return exact(x, i, y, j)

    monkeypatch.setattr(neighbours, "exact_distances", counted)
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(2, 600, 256)).astype(np.float32)
    precision_recall(real, fake)
    assert sum(pairs) < 0.02 * 3 * 600**2


def test_errors() -> None:
    with pytest.raises(ValueError, match="k=3: allowed are 1 to 2, one less than the number of images"):
        precision_recall(REAL[:3], FAKE)
    with pytest.raises(ValueError, match="real has 16 features and fake has 4"):
        precision_recall(REAL, FAKE[:, :4])
