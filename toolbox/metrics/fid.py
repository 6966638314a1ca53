"""FID, the Frechet distance between feature sets (Heusel et al. 2017): the metric and its statistics.

The formula is :func:`toolbox.metrics.functional.frechet_distance`, the loop :func:`toolbox.metrics.evaluate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import FeatureMetric, State, Statistics, check_state
from toolbox.metrics.functional.frechet import frechet_distance
from toolbox.ranges import check_whole

_AT_ONCE = 4096  # rows of a batch; below 2^13, see _SPLIT
_ROWS = 64  # of a matrix at a time: what is added stays in the processor's cache
_SPLIT = 2.0**33 + 1  # leaves 20 bits above, so that a product of two, times a count below 2^13, is exact


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D), float64."""

    mean: np.ndarray
    covariance: np.ndarray


class FID(FeatureMetric):
    """|m_r - m_g|^2 + tr(C_r) + tr(C_g) - 2 tr((C_r C_g)^(1/2)), eq. 6; [0, inf), lower is better.

    It is biased upwards by about constant / N: only values of one N are comparable.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images; None: as many as are fed.
        ddof: 1 divides covariances by n - 1 (all libraries but StyleGAN's, which has 0).
        reference: a ``.npz`` with ``mu`` and ``sigma`` of the real images, as pytorch-fid and TTUR write it.
        reference_protocol: the extractor's name for which that file was made. Such files do not say.

    Raises:
        ValueError: when the reference was made by another protocol.
    """

    title = "fid"
    real: Moments
    fake: Moments

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        ddof: int = 1,
        reference: str | Path | None = None,
        reference_protocol: str | None = None,
    ) -> None:
        super().__init__(extractor, n_fake)
        self.ddof = checked_ddof(ddof)
        self.reference: Gaussian | None = None
        if reference is not None:
            self.reference = read_gaussian(reference, reference_protocol, self.extractor)
            self.uses_real = False
            self.needs = ("fake",)

    def empty(self) -> Moments:
        return Moments(self.extractor.n_features)

    def options(self) -> list[str]:
        return [] if self.ddof == 1 else [f"ddof{self.ddof}"]

    def compute(self) -> dict[str, float]:
        self._check_ready()
        real = self.reference or self.real.gaussian(self.ddof)
        return {"": frechet_distance(*real, *self.fake.gaussian(self.ddof))}


def checked_ddof(ddof: int) -> int:
    """1 or 0.

    Raises:
        ValueError: for another number.
    """
    check_whole(0, ddof=ddof)
    if ddof > 1:
        raise ValueError(f"ddof={ddof}: allowed are 1 (divide by n - 1) and 0 (by n)")
    return ddof


class Moments(Statistics):
    """Count, mean and centred scatter M = sum (x - mean)(x - mean)^T, float64.

    A batch enters by its own mean m and scatter C: sum x = n m and sum x x^T = C + n m m^T. These two sums
    are kept with 106 bits, so that nothing is lost to a large mean, and batches may come in any order and
    from any process: the same batches give the same bits.

    >>> moments = Moments(1)
    >>> moments.update(torch.tensor([[1.0], [3.0]]))
    >>> moments.mean.item(), moments.covariance().item()
    (2.0, 2.0)
    """

    kind = "moments"

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self._sum = ExactSum(n_features)
        self._products = ExactSum(n_features, n_features)

    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        for rows in self._checked(features, index).double().split(_AT_ONCE):
            if len(rows):
                self._take_in(rows)

    def _take_in(self, rows: Tensor) -> None:
        n = len(rows)  # rows (n, D)
        mean = rows.mean(dim=0)  # (D,)
        upper, lower = split(mean)
        centred = rows - mean
        self._sum.add(n * upper, n * lower)
        # n m m^T in two terms: the first is exact, the second goes with the scatter, of its own rounding
        scatter_and_rest = (centred.T @ centred).addr_(n * upper, lower).addr_(n * lower, mean)  # (D, D)
        self._products.add(torch.outer(n * upper, upper), scatter_and_rest)
        self.n += n

    @property
    def mean(self) -> Tensor:
        """(D,) float64; zero when nothing was taken in."""
        return self._sum.settled[0] / max(self.n, 1)

    @property
    def scatter(self) -> Tensor:
        """(D, D) float64, symmetric: sum x x^T - n m m^T, with all the digits of both sums."""
        high, low = self._sum.settled
        mean = high / max(self.n, 1)
        upper, _ = split(mean)
        rest = (high - self.n * upper + low) / max(self.n, 1)  # of the mean, to more digits than mean - upper
        centred = ExactSum(self.n_features, self.n_features)
        centred.merge(self._products.parts)
        for count in (self.n % _AT_ONCE, self.n - self.n % _AT_ONCE):  # each product is exact
            centred.add(torch.outer(-count * upper, upper))
        centred.add(torch.outer(-self.n * upper, rest) + torch.outer(-self.n * rest, mean))
        scatter, _ = centred.settled
        return (scatter + scatter.T) / 2

    def covariance(self, ddof: int = 1) -> Tensor:
        """(D, D) float64.

        Raises:
            ValueError: for fewer than 2 vectors.
        """
        if self.n < 2:
            raise ValueError(f"a covariance of {self.n} images: at least 2 are needed")
        return self.scatter / (self.n - ddof)

    def gaussian(self, ddof: int = 1) -> Gaussian:
        """Mean and covariance as arrays."""
        return Gaussian(self.mean.numpy(), self.covariance(ddof).numpy())

    def state(self) -> State:
        """n, and both sums as (high, low): 'sum' (2, D), 'products' (2, D, D)."""
        sums = torch.stack(self._sum.settled)
        products = torch.stack(self._products.settled)
        return {"n": torch.tensor(self.n), "sum": sums, "products": products}

    def merge(self, state: State) -> None:
        d = self.n_features
        check_state(state, {"n": (), "sum": (2, d), "products": (2, d, d)})
        products = state["products"][0]
        if not torch.allclose(products, products.T, rtol=1e-8, atol=1e-10 * float(products.abs().max())):
            raise ValueError("statistics: 'products' is not symmetric")
        self._sum.merge(state["sum"])
        self._products.merge(state["products"])
        self.n += int(state["n"])


class ExactSum:
    """A running sum of float64 tensors of one shape, as ``high + low``: the same in whatever order they come.

    Several processes add the terms of a sum in another order than one does. With 53 bits the results would
    differ in the last digits; with two float64 numbers a sum, some 106 bits, the order moves them by about
    1e-32 of the sum, and both round to the same float64.

    Args:
        shape: of the terms.

    Attributes:
        parts: (2, *shape) float64: high and low.
    """

    def __init__(self, *shape: int) -> None:
        self.parts = torch.zeros(2, *shape, dtype=torch.float64)

    def add(self, *terms: Tensor) -> None:
        """Add tensors of the shape, each exactly: the rounding error of ``high`` goes into ``low``."""
        highs, lows = self.parts[0].split(_ROWS), self.parts[1].split(_ROWS)  # views: written in place
        for term in terms:
            for high, low, value in zip(highs, lows, term.split(_ROWS), strict=True):
                total, error = two_sum(high, value)
                high.copy_(total)
                low += error

    def merge(self, parts: Tensor) -> None:
        """Add the ``parts`` of another sum."""
        self.add(parts[0])
        self.parts[1] += parts[1]

    @property
    def settled(self) -> tuple[Tensor, Tensor]:
        """(high, low) with high = the sum rounded to float64."""
        return two_sum(self.parts[0], self.parts[1])


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """fl(a + b) and its rounding error, which add up to a + b exactly.

    Knuth, The Art of Computer Programming 2, section 4.2.2.
    """
    total = a + b
    of_b = total - a
    error = (a - (total - of_b)).add_(b - of_b)
    return total, error


def split(value: Tensor) -> tuple[Tensor, Tensor]:
    """value = upper + lower exactly, with 20 and 33 bits (Dekker 1971)."""
    scaled = value * _SPLIT
    upper = scaled - (scaled - value)
    return upper, value - upper


def read_gaussian(path: str | Path, protocol: str | None, extractor: FeatureExtractor) -> Gaussian:
    """Mean and covariance from a ``.npz`` with ``mu`` and ``sigma`` (pytorch-fid, TTUR, GALIP).

    Args:
        path: the file.
        protocol: name of the extractor for which it was made; the file does not say, so the user must.
        extractor: the one in use.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the protocol is missing or another, the file is no such file, or arrays do not fit.
    """
    path = Path(path)
    if protocol != extractor.name:
        raise ValueError(
            f"reference_protocol={protocol!r}: the metric uses the extractor {extractor.name!r}, and "
            f"{path} must have been made by it; if it was, say reference_protocol={extractor.name!r}"
        )
    if not path.exists():
        raise FileNotFoundError(f"reference={str(path)!r}: no such file")
    if path.suffix != ".npz":
        raise ValueError(
            f"reference={str(path)!r}: only .npz files are read (a pickle would run code); save its "
            f"arrays with numpy.savez(path, mu=mean, sigma=covariance)"
        )
    arrays = read_npz(path)
    if not {"mu", "sigma"} <= set(arrays):
        raise ValueError(f"{path} holds {sorted(arrays)}: expected 'mu' and 'sigma'")
    return _checked_gaussian(path, arrays["mu"], arrays["sigma"], extractor.n_features)


def _checked_gaussian(path: Path, mu: np.ndarray, sigma: np.ndarray, d: int) -> Gaussian:
    if mu.shape != (d,) or sigma.shape != (d, d):
        raise ValueError(f"{path}: mu {mu.shape} and sigma {sigma.shape}, expected {(d,)} and {(d, d)}")
    mean, covariance = mu.astype(np.float64), sigma.astype(np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError(f"{path}: mu or sigma holds values that are not finite")
    if not np.allclose(covariance, covariance.T, rtol=1e-5, atol=1e-8 * np.abs(covariance).max()):
        raise ValueError(f"{path}: sigma is not symmetric")
    return Gaussian(mean, covariance)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a ``.npz``, without unpickling.

    Raises:
        ValueError: for a torn file, or one that holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds for a torn file
        raise ValueError(
            f"{path} cannot be read as a .npz file without pickles ({error}): delete it, or replace it "
            f"by a whole one"
        ) from error
