"""Turn a run of configs/clip_embedded.py into the shipped files: float16 weights and a card.

    python tools/train.py configs/clip_embedded.py --work-dir runs/clip_embedded
    python tools/ship_embedded_clip.py runs/clip_embedded

Without a run it measures the shipped weights again and compares with the card.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _shipping

from toolbox.data.base import ImageSet, to_tensor
from toolbox.data.embedded import EmbeddedEmoji, EmbeddedFashion
from toolbox.models.clip_embedded import ARCHITECTURE, CARD, WEIGHTS, EmbeddedClip, EmbeddedClipFeatures

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
CONFIG = "configs/clip_embedded.py"
PREFIX = "networks.clip.model."
TOLERANCE = 0.006  # re-measuring on another machine may flip single images
LICENCE = (
    "weights: Apache-2.0; trained on Noto emoji (images Apache-2.0, keywords MIT) and Fashion-MNIST (MIT)"
)
LIMITS = (
    "Knows the embedded emoji and Fashion-MNIST classes only. It stands in for a real CLIP where there is no "
    "network; results with it say nothing about a real one."
)
SELECTION = (
    "Architecture, learning rate and strength of the views were chosen after looking at the same held-out "
    "parts that the metrics are measured on (a few short trials and one earlier full run): read them as "
    "slightly optimistic."
)


def main(arguments: Sequence[str] | None = None) -> int:
    shipment = _shipping.Shipment(WEIGHTS, CONFIG, ship, measure, near, table)
    return _shipping.main(shipment, __doc__, arguments)


def near(one: float, other: float) -> bool:
    """Whether two shares are equal, but for a few images."""
    return abs(one - other) <= TOLERANCE


# -- files ---------------------------------------------------------------------------------------------------


def write_words() -> None:
    """The ids of all tokens in the training captions, so that nearest words are words it has seen."""
    from toolbox.models.clip_embedded import WORDS

    clip = EmbeddedClip(pretrained=False)
    emoji = EmbeddedEmoji("train")
    texts = {*emoji.classes, *EmbeddedFashion("train").classes}
    for captions in emoji.captions or []:
        texts |= set(captions)
    texts |= {"an emoji of", "a photo of a", "a picture of a", "grey, clothing", "fashion"}
    ids = sorted({token for text in texts for token in clip.tokenizer.encode(text)})
    WORDS.write_text(json.dumps(ids) + "\n", encoding="utf-8")


def ship(run: Path) -> None:
    """Write the run's last weights, its words, and the card without measurements."""
    contents = _shipping.newest(run)
    state = _shipping.below(contents, PREFIX)
    _shipping.write_weights(state, WEIGHTS)
    write_words()
    card = _shipping.card_of(run, contents, state, WEIGHTS, CONFIG) | dict(
        architecture=ARCHITECTURE.name,
        licence=LICENCE,
        limits=LIMITS,
        selection=SELECTION,
    )
    _shipping.write_card(CARD, card)


# -- measurements --------------------------------------------------------------------------------------------


def measure() -> dict[str, float]:
    """Everything the card claims, on the parts that training did not see; shares in [0, 1]."""
    clip, untrained = EmbeddedClip(), EmbeddedClipFeatures()
    torch.manual_seed(0)
    untrained.clip = EmbeddedClip(pretrained=False)
    fashion = EmbeddedFashion("train"), EmbeddedFashion("test")
    emoji = EmbeddedEmoji("train"), EmbeddedEmoji("test")
    found = {
        "fashion zero-shot": zero_shot(clip, fashion[1], "a photo of a {}"),
        "emoji category zero-shot": zero_shot(clip, emoji[1], "an emoji of {}"),
        **retrieval(clip, emoji[1]),
    }
    extractors = {
        "pooled": EmbeddedClipFeatures(),
        "embedding": EmbeddedClipFeatures("embedding"),
        "untrained network": untrained,
        "pixels": _pixels,
    }
    for name, extractor in extractors.items():
        for title, (train, test) in (("fashion", fashion), ("emoji category", emoji)):
            seen, unseen = features(extractor, train), features(extractor, test)
            found[f"{title} linear probe, {name}"] = linear_probe(seen, train.labels, unseen, test.labels)
            found[f"{title} k-means NMI, {name}"] = clustering_nmi(unseen, test.labels)
    return {name: round(float(value), 4) for name, value in found.items()}


def zero_shot(clip: EmbeddedClip, images: ImageSet, template: str) -> float:
    """Share of images whose nearest class sentence is the right one."""
    texts = clip.encode_texts([template.format(name.lower()) for name in images.classes], normalize=True)
    scores = features(lambda x: clip.encode_images(x, normalize=True), images) @ texts.numpy().T
    return float((scores.argmax(axis=1) == images.labels).mean())


def retrieval(clip: EmbeddedClip, images: ImageSet) -> dict[str, float]:
    """Recall at 1 and 5 among held-out concepts, image to text and back, by name and with keywords."""
    assert images.captions is not None
    pictures = features(lambda x: clip.encode_images(x, normalize=True), images)
    sentences = {
        "name": [texts[0] for texts in images.captions],
        "name + keywords": [", ".join(texts[:5]) for texts in images.captions],
    }
    found = {}
    for kind, captions in sentences.items():
        scores = pictures @ clip.encode_texts(captions, normalize=True).numpy().T
        for direction, matrix in (("image to text", scores), ("text to image", scores.T)):
            for k in (1, 5):
                found[f"emoji {direction} R@{k}, {kind}"] = recall(matrix, k)
    return found


def recall(scores: Features, k: int) -> float:
    """Share of rows whose own column is among the k highest."""
    own = np.diagonal(scores)[:, None]
    return float(((scores > own).sum(axis=1) < k).mean())


def linear_probe(train: Features, labels: Labels, test: Features, truth: Labels) -> float:
    """Accuracy of logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(train, labels)
    return float(probe.score(test, truth))


def clustering_nmi(test: Features, truth: Labels) -> float:
    """Agreement of k-means on unit features (as many clusters as classes) with the classes."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    unit = test / np.linalg.norm(test, axis=1, keepdims=True).clip(1e-8)
    found = KMeans(len(np.unique(truth)), n_init=5, random_state=0).fit_predict(unit)
    return float(normalized_mutual_info_score(truth, found))


def features(extractor: Callable[[Tensor], Tensor], images: ImageSet, batch: int = 256) -> Features:
    """(N, D) features of a whole set."""
    chunks = torch.arange(len(images)).split(batch)
    with torch.no_grad():
        parts = [extractor(torch.stack([to_tensor(images.image(int(i))) for i in chunk])) for chunk in chunks]
    return torch.cat(parts).float().numpy()


def _pixels(images: Tensor) -> Tensor:
    return torch.nn.functional.interpolate(images, size=(16, 16), mode="area").flatten(1)


def table(measured: dict[str, float]) -> str:
    """Markdown."""
    rows = [f"| {name} | {value:.3f} |" for name, value in measured.items()]
    return "\n".join(["| measure | value |", "| --- | --- |", *rows])


if __name__ == "__main__":
    sys.exit(main())
