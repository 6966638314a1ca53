"""What is changed, one thing at a time: first clusters, features, layers, K0, C, and the order of merges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolbox.registry import build
from toolbox_klish.why.samples import HIGHEST, Rows, Sample

FIRST = 30  # K0 of all but the variants that are named for theirs
AHC_ROWS = 4000
DROPPED = 12  # directions of place


@dataclass(frozen=True)
class Variant:
    """A clusterer on features.

    Attributes:
        words: in the table.
        type: of the clusterer.
        settings: its arguments.
        rows: 'as they are', 'unit' (every row of length 1), 'unit maps' (every layer's share of it),
            'standardised' (every column), 'no place' (without the directions that say most of a pixel's
            place within parts, by the truth).
        layers: 'highest', the three highest resolutions; 'rule', all of table II's; or one, 0 = the coarsest
            of the three.
    """

    words: str
    type: str = "KLiSH"
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: str = "as they are"
    layers: str | int = "highest"

    def fits(self, sample: Sample) -> bool:
        """Whether it differs from the plain one on this sample: layers are a generator's."""
        layered = len(sample.layers) > 1 or (self.layers == "highest" and self.rows != "unit maps")
        placed = sample.place is not None or (self.rows != "no place" and "drop_place" not in self.settings)
        return layered and placed

    def applied(self, sample: Sample) -> Sample:
        """The sample with the features that it clusters."""
        layers = self._layers(sample)
        chosen = sample
        if layers:
            columns = np.concatenate([np.arange(at.start, at.stop) for at in layers])
            chosen = sample.changed(lambda rows: np.ascontiguousarray(rows[:, columns]))
        if self.rows == "unit":
            return chosen.changed(_unit)
        if self.rows == "unit maps":
            ends = np.cumsum([at.stop - at.start for at in layers])[:-1]
            return chosen.changed(
                lambda rows: np.concatenate([_unit(x) for x in np.split(rows, ends, axis=1)], axis=1)
            )
        if self.rows == "standardised":
            spread = chosen.fit.std(axis=0) + 1e-12
            return chosen.changed(lambda rows: np.asarray(rows / spread, dtype=np.float32))
        if self.rows == "no place":
            away = _away_from_place(chosen)
            return chosen.changed(lambda rows: np.asarray(rows - rows @ away @ away.T, dtype=np.float32))
        return chosen

    def fitted(self, sample: Sample, k: int, seed: int) -> Any:
        """The clusterer, fitted on a sample of :meth:`applied`. ``k``: clusters, of one without K0."""
        own = dict(self.settings)
        if own.pop("order", None) == "angle":
            from toolbox_klish.why.angle_order import KLiSHByAngle

            return KLiSHByAngle(**{"clusters": FIRST, "seed": seed, **own}).fit(sample.fit)
        model = build(
            dict(type=self.type, seed=seed, clusters=FIRST if self.type == "KLiSH" else k) | own, "clusterer"
        )
        return model.fit(sample.fit, places=sample.place) if "drop_place" in own else model.fit(sample.fit)

    @property
    def tree(self) -> bool:
        """Whether one fit is cut at each K."""
        return self.type != "LloydKMeans"

    def _layers(self, sample: Sample) -> list[slice]:
        layers = list(sample.layers.values())
        if self.layers == "rule":
            return layers
        highest = layers[-HIGHEST:]
        return highest if self.layers == "highest" else [highest[int(self.layers)]] if highest else []


def _unit(rows: Rows) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def _away_from_place(sample: Sample) -> Rows:
    """(D, r) of :func:`toolbox_klish.algorithm.place.place_directions`, within the true parts."""
    import torch

    from toolbox_klish.algorithm.place import place_directions
    from toolbox_klish.svm.blocks import FeatureBlocks

    places, parts = torch.from_numpy(sample.place), torch.from_numpy(sample.parts)
    found = place_directions(FeatureBlocks(sample.fit), places, parts, len(sample.part_names), DROPPED)
    return np.asarray(found.numpy(), dtype=np.float32)


def _ahc(linkage: str) -> dict[str, Any]:
    return dict(linkage=linkage, rows=AHC_ROWS, classifier_steps=300)


VARIANTS: Mapping[str, Variant] = {
    "ahc-angle": Variant("AHC by angle", "AHC", _ahc("arccos")),
    "ahc-ward": Variant("AHC, Ward", "AHC", _ahc("ward")),
    "kmeans": Variant("k-means", "LloydKMeans"),
    "kmeans-angle": Variant("k-means by angle", "LloydKMeans", dict(metric="arccos")),
    "klish": Variant("KLiSH"),
    "no-filter": Variant("no filter", settings=dict(filter_sigma=None)),
    "angle-first": Variant("first clusters by angle", settings=dict(metric="arccos")),
    "no-bias": Variant("no bias", settings=dict(bias=False)),
    "angle-no-bias": Variant("first clusters by angle, no bias", settings=dict(metric="arccos", bias=False)),
    "unit-rows": Variant("rows of length 1", rows="unit"),
    "unit-maps": Variant("each layer's share of a row of length 1", rows="unit maps"),
    "standardised": Variant("columns of deviation 1", rows="standardised"),
    "rule-layers": Variant("layers of table II's rule", layers="rule"),
    "coarse-layer": Variant("the coarsest of the three layers", layers=0),
    "middle-layer": Variant("the middle one", layers=1),
    "fine-layer": Variant("the finest one", layers=2),
    "first-15": Variant("K0 = 15", settings=dict(clusters=15)),
    "first-60": Variant("K0 = 60", settings=dict(clusters=60)),
    "first-100": Variant("K0 = 100", settings=dict(clusters=100)),
    "c-5": Variant("C = 5", settings=dict(C=5.0)),
    "c-50": Variant("C = 50", settings=dict(C=50.0)),
    "c-500": Variant("C = 500", settings=dict(C=500.0)),
    "c-50000": Variant("C = 50,000", settings=dict(C=50_000.0)),
    "angle-order": Variant("merged in the order of angles", settings=dict(order="angle")),
    "no-place": Variant("without place (an option)", settings=dict(drop_place=DROPPED)),
    "no-place-first-60": Variant("without place, K0 = 60", settings=dict(drop_place=DROPPED, clusters=60)),
    "no-place-truth": Variant("without place, by the truth", rows="no place"),
    "ahc-no-place-truth": Variant(
        "AHC by angle, without place, by the truth", "AHC", _ahc("arccos"), "no place"
    ),
}

_OF_ALL = (
    "ahc-angle",
    "ahc-ward",
    "kmeans",
    "klish",
    "no-filter",
    "angle-first",
    "angle-no-bias",
    "unit-rows",
    "first-60",
    "c-50",
    "c-50000",
    "angle-order",
    "no-place",
    "no-place-truth",
    "ahc-no-place-truth",
)


def variants_of(data: str) -> tuple[str, ...]:
    """Those of a sample by default: all of the embedded generator's, most of the others'."""
    return tuple(VARIANTS) if data == "embedded" else _OF_ALL
