"""Pairs by number: image i of a generator, and the part that a classifier sees in each of its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toolbox.config import ConfigError
from toolbox.data.base import to_uint8
from toolbox.features import DrawnImages
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.pictures.look import check_weights
from toolbox_klish.runs.naming import NamedClassifier, Names
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.segment import has_planes, segment

MOST_PARTS = 255  # of 8 bits; 255 itself is what segmenters leave out
BACKGROUND = "background"


@dataclass(frozen=True)
class Pairs:
    """Some pairs.

    Attributes:
        images: (N, H, W, 3) uint8.
        masks: (N, H, W) uint8, index into the part names.
        latents: (N, latent_dim).
        pixels: (N, parts) int64, how many show each part.
        labels: (N,) int64 class of each image; None for an unconditional generator.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    latents: NDArray[np.float32]
    pixels: NDArray[np.int64]
    labels: NDArray[np.int64] | None

    def first(self, n: int) -> Pairs:
        """The first ``n`` of them."""
        labels = None if self.labels is None else self.labels[:n]
        return Pairs(self.images[:n], self.masks[:n], self.latents[:n], self.pixels[:n], labels)

    def without_pixels(self) -> Pairs:
        """What is small of them."""
        return replace(self, images=self.images[:0], masks=self.masks[:0])


class PairSource:
    """The pairs of a run.

    Args:
        run: fitted.
        settings: how they are made.
        clusterer, clusters, fit: name, K and seed of a fit; None = those that the run uses. The names of the
            run's clusters count for these alone.

    Raises:
        ConfigError: for a run that is not fitted so, or whose generator or layers are not those that were
            clustered.
        ValueError: for settings that do not go with the generator.

    Attributes:
        run, settings: as given.
        clusterer, clusters, fit: in use.
        size: pixels of a side, before borders are cut off.
        batch_size: images that are drawn together.
        part_names: what the numbers of masks mean.
        groups: {part: clusters that it stands for}.
    """

    def __init__(
        self,
        run: ClusterRun,
        settings: PairSettings,
        clusterer: str | None = None,
        clusters: int | None = None,
        fit: int | None = None,
    ) -> None:
        self.run, self.settings = run, settings
        self.clusterer = clusterer or run.default
        self.clusters = int(run.config.final if clusters is None else clusters)
        self.fit = run.seeds[0] if fit is None else fit
        self._classifier = _classifier(run, self.clusterer, self.clusters, self.fit)
        self.size = settings.size_for(run.generator)
        self.batch_size = settings.batch_size_for(run.generator)
        self.stream = run.stream(
            settings.images, seed=settings.seed, size=self.size, **_drawing(run, settings)
        )
        _check_taps(run, self.stream.layers, self.stream.width, self._classifier)
        check_weights(run)
        _check_parts(self._classifier.titles)
        titles = list(self._classifier.titles)
        places = {name: self._classifier.members(place) for place, name in enumerate(titles)}
        self._numbers = np.arange(len(titles), dtype=np.uint8)
        self.part_names, self.groups = titles, places
        if settings.border_rows:
            self._cut_border()

    @property
    def origin(self) -> dict[str, Any]:
        """Whose images and clusters these are."""
        model = self.run.model_path(self.clusterer, self.fit, self.clusters)
        generator = self.run.generator
        return dict(
            run=self.run.config.get("title", self.run.folder.name),
            generator=type(generator).__name__,
            weights=fingerprint(generator),
            layers=list(self.stream.layers),
            clusterer=self.clusterer,
            clusters=self.clusters,
            fit=self.fit,
            classifier=hashlib.sha256(model.read_bytes()).hexdigest(),
        )

    @property
    def classes(self) -> list[str]:
        """Names of the generator's classes; [] for an unconditional one."""
        return [f"class {number}" for number in range(self.run.generator.n_conditions)]

    def draw(self, numbers: Sequence[int]) -> Pairs:
        """Pairs by their numbers, drawn together."""
        drawn = self.stream.draw(numbers)
        rows = self.settings.border_rows
        inside = slice(rows, self.size - rows)
        masks = self._numbers[self._segmented(drawn)[:, inside]]
        pixels = [np.bincount(mask.ravel(), minlength=len(self.part_names)) for mask in masks]
        labels = None if drawn.labels is None else drawn.labels.cpu().numpy().astype(np.int64)
        images = to_uint8(_resized(drawn.images, self.size)[:, :, inside]).cpu().numpy()
        return Pairs(images, masks, drawn.latents.float().cpu().numpy(), np.stack(pixels), labels)

    def _segmented(self, drawn: DrawnImages) -> NDArray[np.int64]:
        """(N, size, size) place of each pixel's cluster among the names."""
        return segment(self._classifier, drawn.maps, self.size).cpu().numpy()

    def _cut_border(self) -> None:
        """Clusters with more than half of their pixels in the border are background, the rest 1, 2, ..."""
        named = np.array([title == BACKGROUND for title in self.part_names])
        outside = (self._border_shares() > 0.5) | named
        kept = [title for title, out in zip(self.part_names, outside, strict=True) if not out]
        dropped = [title for title, out in zip(self.part_names, outside, strict=True) if out]
        self._numbers = np.where(outside, 0, np.cumsum(~outside)).astype(np.uint8)
        taken = [number for title in dropped for number in self.groups[title]]
        self.groups = {BACKGROUND: sorted(taken), **{title: self.groups[title] for title in kept}}
        self.part_names = list(self.groups)

    def _border_shares(self) -> NDArray[np.float64]:
        """(parts,) share of the pixels of each that lies in the border, over the first images."""
        inside, whole = np.zeros((2, len(self.part_names)), dtype=np.int64)
        rows, step, images = self.settings.border_rows, self.batch_size, self.settings.border_images
        for start in range(0, images, step):
            found = self._segmented(self.stream.draw(range(start, start + step)))[: images - start]
            whole += np.bincount(found.ravel(), minlength=len(whole))
            inside += np.bincount(found[:, rows : self.size - rows].ravel(), minlength=len(whole))
        return np.asarray((whole - inside) / np.maximum(whole, 1))


def _drawing(run: ClusterRun, settings: PairSettings) -> dict[str, Any]:
    label = run.config.features.label if settings.label is None else settings.label
    return dict(
        truncation=settings.truncation_for(run.generator),
        noise=settings.noise,
        label=label,
        pixels=None,
    )


def _classifier(run: ClusterRun, clusterer: str, clusters: int, fit: int) -> Any:
    """The classifier, under the run's names where they are its."""
    classifier = run.classifier(clusters, clusterer, fit)
    own = (clusterer, clusters, fit) == (run.default, run.config.final, run.seeds[0])
    names = run.names if own else None
    return NamedClassifier(classifier, names or Names(classifier.n_clusters))


def _check_taps(run: ClusterRun, layers: Sequence[str], width: int, classifier: Any) -> None:
    """Raise a ConfigError unless features are taken where they were clustered."""
    fitted = run.record.get("layers", layers)
    planes = np.shape(classifier.weight)[1] if has_planes(classifier) else width
    if list(fitted) != list(layers) or planes != width:
        raise ConfigError(
            f"{run.folder}: its clusters were fitted at {', '.join(fitted)} ({planes} channels), the "
            f"features are now those of {', '.join(layers)} ({width}): put the layers of its config back"
        )


def _check_parts(titles: Sequence[str]) -> None:
    if len(titles) > MOST_PARTS:
        raise ValueError(
            f"{len(titles)} clusters do not fit into a mask of 8 bits: take at most {MOST_PARTS}, or merge "
            "some by names"
        )
    if len(set(titles)) < len(titles):
        raise ValueError(f"two parts have one name: {', '.join(titles)}; give clusters names of their own")


def _resized(images: Tensor, size: int) -> Tensor:
    """Bilinear, as the authors'; antialiased where images become smaller."""
    if images.shape[-1] == size:
        return images
    with torch.no_grad():
        return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
