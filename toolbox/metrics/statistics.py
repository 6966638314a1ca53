"""Sufficient statistics of a feature set: moments, moments of each class, or the features themselves.

All add up: ``merge`` of the parts' states gives the statistics of the whole, in any order, to the last bit
where the parts were fed the same batches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from toolbox.metrics.exact import ExactSum, split

State = dict[str, Tensor]
_AT_ONCE = 4096  # rows of a batch; below 2^13, see toolbox.metrics.exact


class Statistics(ABC):
    """What is kept of a stream of feature vectors.

    Attributes:
        kind: short name, under which a cache stores them.
        n: how many vectors were taken in.
        n_features: D.
    """

    kind: ClassVar[str]

    def __init__(self, n_features: int) -> None:
        self.n = 0
        self.n_features = n_features

    @abstractmethod
    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        """Take in features (N, D), with labels (N,) and global index (N,) where they are used.

        Raises:
            ValueError: for another width, or a value that is not finite (naming the image).
        """

    @abstractmethod
    def state(self) -> State:
        """Named tensors on the CPU."""

    @abstractmethod
    def merge(self, state: State) -> None:
        """Fold in the state of another part.

        Raises:
            ValueError: when shapes do not fit, or a value is not finite.
        """

    def _checked(self, features: Tensor, index: Tensor | None) -> Tensor:
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(f"features have shape {tuple(features.shape)}: expected (N, {self.n_features})")
        features = features.detach().cpu()
        bad = (~torch.isfinite(features)).any(dim=1)
        if bad.any():
            row = int(bad.int().argmax())
            which = int(index[row]) if index is not None else self.n + row
            raise ValueError(
                f"features of image {which} are not finite ({int(bad.sum())} such images in the batch): "
                f"look at the images, or at the extractor's precision"
            )
        return features


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
        self._sum, self._products = ExactSum(n_features), ExactSum(n_features, n_features)

    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        for rows in self._checked(features, index).double().split(_AT_ONCE):
            if len(rows):
                self._take_in(rows)

    def _take_in(self, rows: Tensor) -> None:
        n, mean = len(rows), rows.mean(dim=0)
        upper, lower = split(mean)
        centred = rows - mean
        self._sum.add(n * upper, n * lower)
        self._products.add(
            torch.outer(n * upper, upper),
            (centred.T @ centred).addr_(n * upper, lower).addr_(n * lower, mean),
        )
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
        counts = self.n % _AT_ONCE, self.n - self.n % _AT_ONCE  # each product is exact
        centred.add(
            *(torch.outer(-count * upper, upper) for count in counts),
            torch.outer(-self.n * upper, rest) + torch.outer(-self.n * rest, mean),
        )
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

    def state(self) -> State:
        """n, and both sums as (high, low): 'sum' (2, D), 'products' (2, D, D)."""
        return {
            "n": torch.tensor(self.n),
            "sum": torch.stack(self._sum.settled),
            "products": torch.stack(self._products.settled),
        }

    def merge(self, state: State) -> None:
        d = self.n_features
        _check_state(state, {"n": (), "sum": (2, d), "products": (2, d, d)})
        products = state["products"][0]
        if not torch.allclose(products, products.T, rtol=1e-8, atol=1e-10 * float(products.abs().max())):
            raise ValueError("statistics: 'products' is not symmetric")
        self._sum.merge(state["sum"])
        self._products.merge(state["products"])
        self.n += int(state["n"])


class ClassMoments(Statistics):
    """Moments of each class: for intra-class distances on sets whose features do not fit in memory."""

    kind = "class_moments"

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.of: dict[int, Moments] = {}

    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        features = self._checked(features, index)
        if labels is None:
            raise ValueError("class moments need a label for every image")
        labels = labels.cpu()
        for label in labels.unique().tolist():
            rows = labels == label
            self._class(label).update(features[rows])
        self.n += len(features)

    def state(self) -> State:
        """Labels (C,), and the state of each class stacked: n (C,), sum (C, 2, D), products (C, 2, D, D)."""
        labels, none = sorted(self.of), Moments(self.n_features).state()
        states = [self.of[label].state() for label in labels]
        stacked = {key: torch.stack([none[key], *(state[key] for state in states)])[1:] for key in none}
        return {"labels": torch.tensor(labels, dtype=torch.int64), **stacked}

    def merge(self, state: State) -> None:
        for i, label in enumerate(state["labels"].tolist()):
            self._class(label).merge({key: state[key][i] for key in ("n", "sum", "products")})
        self.n += int(state["n"].sum())

    def _class(self, label: int) -> Moments:
        return self.of.setdefault(label, Moments(self.n_features))


class FeatureBank(Statistics):
    """All features (float32), with their labels and places: for neighbour, kernel and few-sample
    distances.
    """

    kind = "features"

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        none = torch.empty(0, dtype=torch.int64)
        self._parts: list[State] = [{"features": torch.empty(0, n_features), "labels": none, "index": none}]
        self._sorted = True
        self._derived: dict[str, Any] = {}

    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        features = self._checked(features, index).float()
        n = len(features)
        self._append(
            {
                "features": features.clone(),
                "labels": torch.full((n,), -1) if labels is None else labels.cpu().long(),
                "index": torch.arange(self.n, self.n + n) if index is None else index.cpu().long(),
            }
        )

    def state(self) -> State:
        """Features (n, D), labels (n,) and index (n,), in the order of the index whatever order they came in.

        Raises:
            ValueError: when an image was fed twice (a sampler that pads its last batch does that).
        """
        if not self._sorted:
            joined = {key: torch.cat([part[key] for part in self._parts]) for key in self._parts[0]}
            order = joined["index"].argsort(stable=True)
            self._parts = [{key: value[order] for key, value in joined.items()}]
            self._refuse_repeats(self._parts[0]["index"])
            self._sorted = True
        return dict(self._parts[0])

    def merge(self, state: State) -> None:
        n = len(state["features"])
        _check_state(state, {"features": (n, self.n_features), "labels": (n,), "index": (n,)})
        self._append(dict(state))

    @property
    def features(self) -> np.ndarray:
        """(n, D) float32, in the order of the index."""
        return self.state()["features"].numpy()

    @property
    def labels(self) -> np.ndarray:
        """(n,) int64, -1 where none was given, in the order of the index."""
        return self.state()["labels"].numpy()

    def once(self, key: str, compute: Callable[[], Any]) -> Any:
        """``compute()`` at the first call with this key, its result at later ones, until more features come
        in.
        """
        if key not in self._derived:
            self._derived[key] = compute()
        return self._derived[key]

    def _append(self, part: State) -> None:
        self._parts.append(part)
        self._sorted = False
        self._derived = {}
        self.n += len(part["features"])

    @staticmethod
    def _refuse_repeats(index: Tensor) -> None:
        repeated = index[1:][index[1:] == index[:-1]]
        if len(repeated):
            raise ValueError(
                f"image {int(repeated[0])} was fed twice ({len(repeated)} repeated images): give each its "
                f"own Sample.index, and do not pad the last batch"
            )


KINDS: dict[str, type[Statistics]] = {cls.kind: cls for cls in (Moments, ClassMoments, FeatureBank)}


def _check_state(state: State, shapes: dict[str, tuple[int, ...]]) -> None:
    for key, shape in shapes.items():
        if key not in state:
            raise ValueError(f"statistics lack {key!r}: they hold {', '.join(sorted(state)) or 'nothing'}")
        if tuple(state[key].shape) != shape:
            raise ValueError(
                f"statistics: {key!r} has shape {tuple(state[key].shape)}, expected {shape}; "
                f"they come from another extractor"
            )
        if not torch.isfinite(state[key]).all():
            raise ValueError(f"statistics: {key!r} holds values that are not finite")
