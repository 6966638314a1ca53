"""What the cells are judged by: captions that training has not seen, and networks that no run trains with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import toolbox
from toolbox.data.base import ImageSet, to_tensor
from toolbox.interfaces import Request
from toolbox.metrics.functional import (
    candidate_scores,
    draw_others,
    first_place_shares,
    frechet_from_features,
    inception_score,
    label_silhouette,
    retrieval_hits,
)
from toolbox.models.clip_embedded import EmbeddedClipFeatures
from toolbox.models.extractors import TinyConvFeatures
from toolbox.randomness import mix
from toolbox.registry import build
from toolbox_scl.table import training
from toolbox_scl.table.plan import CANDIDATES

_BATCH = 100
OF_ENCODERS = {
    "image-to-text": "R@1 image to text",
    "text-to-image": "R@1 text to image",
    "silhouette-images": "silhouette of images",
    "silhouette-texts": "silhouette of captions",
}
OF_GANS = {
    "fid": "FID (toy-clip)",
    "fid-tiny": "FID (tiny-conv)",
    "is": "IS (9 categories)",
    "r-precision": "R-precision",
    "silhouette": "silhouette",
}


class Judge:
    """Images of captions against real images.

    Args:
        n: captions that are judged, one of each image drawn.

    Attributes:
        captions: (n) texts that training has not seen.
        labels: (n,) categories of their images.
    """

    def __init__(self, n: int) -> None:
        self.unseen: ImageSet = build(dict(training.wordings(), part="unseen"), "dataset")
        self.n = min(n, len(self.unseen))
        rows = np.random.default_rng(0).permutation(len(self.unseen))[: self.n]
        self.rows = np.sort(rows)
        self.captions = [(self.unseen.captions or ())[i][0] for i in self.rows]
        self.labels = self.unseen.labels[self.rows]

    # encoders

    def encoders(self, folder: Path) -> dict[str, float]:
        """What the hook RetrievalTest has measured at the end of a run of encoders."""
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        names = {f"retrieval-{key}[": key for key in OF_ENCODERS}
        return {names[start]: record["value"] for record in records if (start := _start(record)) in names}

    def reference_encoders(self) -> dict[str, dict[str, float]]:
        """Rows beside them: what captions and labels at random give, and the shipped toy CLIP."""
        everything = np.arange(len(self.unseen))
        images = _through(self._clip.encode_images, _pictures(self.unseen, everything))
        with torch.no_grad():
            texts = self._clip.encode_texts([texts[0] for texts in self.unseen.captions or ()]).numpy()
        others = draw_others(everything, everything, min(CANDIDATES, len(everything)) - 1)
        both = {"image-to-text": (images, texts), "text-to-image": (texts, images)}
        of_clip = {
            name: float(first_place_shares(candidate_scores(*codes, everything, others)).mean())
            for name, codes in both.items()
        }
        for name, codes in (("images", images), ("texts", texts)):
            of_clip[f"silhouette-{name}"] = label_silhouette(codes, self.unseen.labels)
        chance = dict.fromkeys(both, 1 / (others.shape[1] + 1))
        shuffled = np.random.default_rng(0).permutation(self.unseen.labels)
        chance |= dict.fromkeys(("silhouette-images", "silhouette-texts"), label_silhouette(images, shuffled))
        return {"chance": chance, "the shipped toy CLIP": of_clip}

    # generators

    def gan(self, folder: Path, seed: int) -> dict[str, float]:
        """Of the images that a run draws for the captions."""
        return self.images(self.drawn(folder, seed))

    def drawn(self, folder: Path, seed: int) -> Tensor:
        """(n, 3, H, W): one image a caption."""
        sampler = toolbox.load_run(folder, seed=mix(seed, "table"))
        found = []
        for numbers in torch.arange(self.n).split(_BATCH):
            asked = [Request(text=self.captions[int(i)]) for i in numbers]
            found.append(sampler(numbers, requests=asked).images)
        return torch.cat(found)

    def images(self, images: Tensor) -> dict[str, float]:
        """Of any images (n, 3, H, W), image i of caption i."""
        pooled, tiny = (_through(network, images) for network in self._features)
        codes = _through(self._clip.encode_images, images)
        shares = self._classifier.predict_proba(pooled)  # some are 0, of images like no real one
        hits = retrieval_hits(candidate_scores(codes, self._texts, np.arange(self.n), self._others))
        return {
            "fid": frechet_from_features(pooled, self._real[0]),
            "fid-tiny": frechet_from_features(tiny, self._real[1]),
            "is": inception_score(np.log(shares.clip(min=1e-30)), splits=1)[0],
            "r-precision": float(hits.mean()),
            "silhouette": label_silhouette(codes, self.labels),
        }

    def references(self) -> dict[str, dict[str, float]]:
        """Rows beside them: real images, each with its caption, and what shows no caption."""
        of_real = self.images(_pictures(self.unseen, self.rows))
        chance = {"is": 1.0, "r-precision": 1 / (self._others.shape[1] + 1)}
        return {"chance": {**chance, "silhouette": self._shuffled_silhouette()}, "real images": of_real}

    def _shuffled_silhouette(self) -> float:
        """Of real images' codes, under labels in a random order."""
        codes = _through(self._clip.encode_images, _pictures(self.unseen, self.rows))
        return label_silhouette(codes, np.random.default_rng(0).permutation(self.labels))

    @cached_property
    def _features(self) -> list[Any]:
        return [EmbeddedClipFeatures().eval(), TinyConvFeatures().eval()]

    @property
    def _clip(self) -> Any:
        return self._features[0].clip

    @cached_property
    def _real(self) -> list[NDArray[np.floating[Any]]]:
        """Features of all real images, by each network."""
        everything = _pictures(self._source, np.arange(len(self._source)))
        return [_through(network, everything) for network in self._features]

    @cached_property
    def _source(self) -> ImageSet:
        found: ImageSet = build(training.wordings()["source"], "dataset")
        return found

    @cached_property
    def _classifier(self) -> Any:
        """Linear, of the categories, on the real images' features."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        features = self._real[0]
        regression = LogisticRegression(C=1e3 / len(features), max_iter=1000, tol=1e-3)
        return make_pipeline(StandardScaler(), regression).fit(features, self._source.labels)

    @cached_property
    def _texts(self) -> NDArray[np.floating[Any]]:
        with torch.no_grad():
            return self._clip.encode_texts(self.captions).numpy()

    @cached_property
    def _others(self) -> NDArray[np.int64]:
        """Captions of other categories that each image is compared with."""
        fewest = self.n - int(np.bincount(self.labels).max())
        return draw_others(self.labels, self.labels, min(CANDIDATES - 1, fewest))


def _pictures(data: ImageSet, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
    return torch.stack([to_tensor(data.image(int(i))) for i in rows])


@torch.no_grad()
def _through(network: Any, images: Tensor) -> NDArray[np.floating[Any]]:
    return torch.cat([network(part) for part in images.split(_BATCH)]).double().numpy()


def _start(record: Mapping[str, Any]) -> str:
    """'retrieval-silhouette-images[' of a metric's name with its protocol."""
    return str(record["metric"]).partition("[")[0] + "["
