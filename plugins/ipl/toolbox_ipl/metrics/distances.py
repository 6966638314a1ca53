"""How different the images of one generator are: mean distance of all pairs, and within clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.data.base import to_uint8
from toolbox.interfaces import FeatureExtractor, Sample, from_bytes
from toolbox.models.extractors import resize
from toolbox.ranges import check_seed, check_whole
from toolbox_ipl.metrics.building import built_extractor
from toolbox_ipl.metrics.formulas import cluster_members, mean_distance
from toolbox_ipl.metrics.references import References, picture_files, read_pictures
from toolbox_ipl.metrics.rows import RowMetric, as_on_disk

_BLOCK = 2**28  # numbers of vectors that are held at once: a GiB


class _DistanceMetric(RowMetric):
    """Keeps the images, as bytes, and compares them at the end."""

    needs = ("fake",)
    least = 2
    higher_is_better = True

    def __init__(
        self, extractor: FeatureExtractor | dict[str, Any], size: int, n_fake: int | None = None
    ) -> None:
        super().__init__(n_fake)
        check_whole(16, size=size)
        self.extractor = built_extractor(extractor)
        self.size = size
        self._device = torch.device("cpu")

    def protocol(self) -> list[str]:
        kind = [] if is_squared(self.extractor) else ["cosine"]
        return [self.extractor.name, *kind]

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images; larger ones are reduced to ``size``."""
        images = as_on_disk(sample.images)
        if max(images.shape[2:]) > self.size:
            images = resize(images, self.size)
        self._device = images.device
        self.rows.add(to_uint8(images).movedim(-1, -3), sample.index)

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result."""
        return {"n_fake": self.rows.n, "extractor": self.extractor.fingerprint()}

    def _images(self) -> Tensor:
        return torch.from_numpy(self.checked_values())

    def _between(self, first: Tensor, second: Tensor | None = None) -> np.ndarray:
        extractor = self.extractor.to(self._device).eval()
        return distances(extractor, first, second, self._device)


class PairwiseDistance(_DistanceMetric):
    """Mean of d(x_i, x_j) over all pairs of generated images (N, 3, H, W) in [-1, 1]; >= 0, more is varied.

    d is LPIPS where the extractor is :class:`~toolbox_ipl.networks.lpips.LPIPS`, of two files; else
    1 - cos of the extractor's features, and the name says which. The cost is the square of N.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        size: larger images are reduced to this square (bicubic, antialiased, 8 bits), in pixels.
        n_fake: how many images; None: as many as are fed. 250 are usual.

    >>> import torch
    >>> from toolbox.interfaces import Sample
    >>> images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> metric = PairwiseDistance(extractor=dict(type="PooledPixels"), n_fake=4)
    >>> metric.update_fake(Sample(images[:1].expand(4, -1, -1, -1)))
    >>> metric.name, round(metric.compute()[""], 4)
    ('pairwise-distance[pixels-4x4,cosine,4]', 0.0)
    """

    title = "pairwise-distance"

    def __init__(
        self, extractor: FeatureExtractor | dict[str, Any], size: int = 256, n_fake: int | None = 250
    ) -> None:
        super().__init__(extractor, size, n_fake)

    def compute(self) -> dict[str, float]:
        return {"": mean_distance(self._between(self._images()))}


class IntraDistance(_DistanceMetric):
    """Mean distance within clusters around reference pictures (Ojha et al. 2021); >= 0, more is varied.

    Each generated image (3, H, W) belongs to its nearest reference; of each cluster the mean of d over pairs
    is taken, and the mean over clusters of two images at least. Copies of the references give 0. With
    :class:`~toolbox_ipl.networks.lpips.LPIPS` d is LPIPS and this is IC-LPIPS; else it is 1 - cos of the
    extractor's features, and the name says so.

    Args:
        references: a folder of pictures, or a list of files: the centres.
        extractor: a FeatureExtractor, or the config of one.
        size: references, and larger images, are brought to this square, in pixels.
        most: of a larger cluster so many images are drawn.
        seed: of the draws.
        n_fake: how many images; None: as many as are fed. 1,000 are usual.

    ``compute`` gives the mean (''), the standard deviation over clusters ('std') and their number
    ('clusters').

    >>> IntraDistance(references=[], extractor=dict(type="PooledPixels"))
    Traceback (most recent call last):
    ValueError: references is empty: give a folder, or a list of picture files
    """

    title = "intra-distance"

    def __init__(
        self,
        references: References,
        extractor: FeatureExtractor | dict[str, Any],
        size: int = 256,
        most: int = 50,
        seed: int = 0,
        n_fake: int | None = None,
    ) -> None:
        super().__init__(extractor, size, n_fake)
        check_whole(2, most=most)
        check_seed(seed=seed)
        self.references, self.most, self.seed = references, most, seed
        self.files = picture_files(references)
        self.pictures = to_uint8(read_pictures(self.files, size)).movedim(-1, -3)

    def protocol(self) -> list[str]:
        return [*super().protocol(), f"{len(self.files)}refs"]

    def compute(self) -> dict[str, float]:
        images = self._images()
        found = cluster_members(self._between(images, self.pictures), self.most, self.seed)
        means = [mean_distance(self._between(images[members])) for members in found]
        if not means:
            raise ValueError(f"{self.title}: no reference is the nearest of 2 images; feed more images")
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
        return {"": float(np.mean(means)), "std": spread, "clusters": float(len(means))}


def is_squared(extractor: FeatureExtractor) -> bool:
    """Whether the extractor's vectors are made to be compared by their squared distance, as LPIPS' are."""
    return bool(getattr(extractor, "squared_distance", False))


@torch.no_grad()
def distances(
    extractor: FeatureExtractor,
    first: Tensor,
    second: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """(N, M) float64 distances of images (N, 3, H, W) and (M, 3, H, W), uint8; of ``first`` alone: (N, N).

    |a - b|^2 of an extractor whose vectors are made for it (:func:`is_squared`), else 1 - cos(a, b).
    """
    same = second is None
    other = first if second is None else second
    step = max(1, min(64, _BLOCK // extractor.n_features))
    table = torch.zeros(len(first), len(other), dtype=torch.float64)
    for i in range(0, len(first), step):
        a = _vectors(extractor, first[i : i + step].to(device))
        for j in range(i if same else 0, len(other), step):
            b = a if same and i == j else _vectors(extractor, other[j : j + step].to(device))
            table[i : i + step, j : j + step] = _squared_distances(a, b)
    return (torch.triu(table, 1) + torch.triu(table, 1).T if same else table).numpy()


def _vectors(extractor: FeatureExtractor, images: Tensor) -> Tensor:
    """Vectors whose squared distances are the distances: |a/|a| - b/|b||^2 / 2 = 1 - cos(a, b)."""
    rows = [extractor(from_bytes(images[i : i + 8])).float() for i in range(0, len(images), 8)]
    vectors = torch.cat(rows)
    return vectors if is_squared(extractor) else F.normalize(vectors, dim=1) / 2**0.5


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None]
    return (squares - 2 * a @ b.T).clamp(min=0).double().cpu()
