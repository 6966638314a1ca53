"""Turn a run of configs/clip_portraits.py into the shipped files: float16 weights, words and a card.

    python tools/train.py configs/clip_portraits.py --work-dir runs/clip_portraits
    python tools/ship_portrait_clip.py runs/clip_portraits

Without a run it measures the shipped weights again and compares with the card.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _shipping
from ship_embedded_clip import features, near, zero_shot

from toolbox.config import load_config
from toolbox.data.drawn import STYLES, DrawnPortraits
from toolbox.data.drawn_captions import STYLE_NAMES
from toolbox.data.drawn_styles import DRAWN_STYLES
from toolbox.data.embedded import EmbeddedFashion
from toolbox.models.clip import Clip
from toolbox.models.clip_embedded import ARCHITECTURE, PORTRAIT_WORDS, PORTRAITS, TOKEN_TABLE, PortraitClip
from toolbox.models.stylegan2_embedded import EmbeddedStyleGAN2

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "clip_portraits.py"
CARD = PORTRAITS.with_suffix(".json")
PREFIX = "networks.clip.model."
PORTRAITS_MEASURED = 100  # of the test part, each in all styles
LIMITS = (
    "Knows drawn portraits in seven styles only, and has forgotten most of what EmbeddedClip knew. It stands "
    "in for a real CLIP where there is no network; results with it say nothing about a real one."
)
SELECTION = (
    "Learning rate, and how often captions speak of hair and hats, were chosen after a look at the same test "
    "portraits (one earlier run): read the numbers as slightly optimistic."
)
ATTRIBUTES = {  # what the words say of those who have it, and of the others
    "hat": ("a person with a hat", "a person with short hair"),
    "long hair": ("a person with long hair", "a person with short hair"),
    "smile": ("a smiling person", "a serious person"),
}
SOURCES = ("drawing", "photo", "portrait", "person")


def main(arguments: Sequence[str] | None = None) -> int:
    shipment = _shipping.Shipment(
        PORTRAITS, "configs/clip_portraits.py", ship, lambda: measure(PortraitClip()), near
    )
    return _shipping.main(shipment, __doc__, arguments)


# -- files ---------------------------------------------------------------------------------------------------


def ship(run: Path) -> None:
    """Write what differs from EmbeddedClip, the words, and the card without measurements."""
    contents = _shipping.newest(run)
    state = _shipping.below(contents, PREFIX)
    words = seen_tokens()
    PORTRAIT_WORDS.write_text(json.dumps(words) + "\n", encoding="utf-8")
    state[TOKEN_TABLE] = state[TOKEN_TABLE][words]
    _shipping.write_weights(state, PORTRAITS)
    card = _shipping.card_of(run, contents, state, PORTRAITS, "configs/clip_portraits.py")
    card["trained"]["start"] = "clip_embedded"
    card |= dict(
        architecture=ARCHITECTURE.name,
        licence="weights: Apache-2.0; trained on the toolbox's own drawn portraits, from EmbeddedClip",
        limits=LIMITS,
        selection=SELECTION,
    )
    _shipping.write_card(CARD, card)


def seen_tokens() -> list[int]:
    """The ids of all tokens in the training captions: only their rows of the token table were trained."""
    clip, sources = PortraitClip(pretrained=False), _sources()
    captions = DrawnPortraits(
        **{key: value for key, value in sources["data"].items() if key != "type"}
    ).captions
    texts = {text for texts in captions or [] for text in texts} | set(sources["templates"])
    ids = {token for text in texts for token in clip.tokenizer.encode(text)}
    ends = clip.tokenize("")[0, :2].tolist()  # start and end of a text
    return sorted(ids | set(ends))


def _sources() -> Any:
    return load_config(CONFIG).train_dataloader.dataset.sources[0]


# -- measurements --------------------------------------------------------------------------------------------


def measure(clip: Clip) -> dict[str, float]:
    """Everything the card claims, on portraits that training did not see; shares and cosines."""
    shown = {style: DrawnPortraits("test", images=PORTRAITS_MEASURED, style=style) for style in DRAWN_STYLES}
    codes = {style: _images(clip, data) for style, data in shown.items()}
    generated = _generated(clip)
    found = {
        **_named(clip, codes, generated),
        **_attributes(clip, codes, shown["as drawn"]),
        **_directions(clip, codes, generated),
        "fashion zero-shot": zero_shot(clip, EmbeddedFashion("test"), "a photo of a {}"),
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def label_code(clip: Clip, label: str) -> Tensor:
    """(d,) mean of the unit codes of the 79 sentences around a label."""
    around = dict.fromkeys(text for text in _sources()["templates"] if "{name}" in text and text != "{name}")
    return clip.encode_texts([text.format(name=label) for text in around], normalize=True).mean(dim=0)


def _named(clip: Clip, codes: dict[str, Tensor], generated: Tensor) -> dict[str, float]:
    """Share of images whose nearest label is their style's: inside the 79 sentences, and alone."""
    labels = [STYLE_NAMES[style][0] for style in codes]
    inside = torch.stack([label_code(clip, label) for label in labels])
    found = {}
    for way, texts in (("79 sentences", inside), ("label alone", clip.encode_texts(labels, normalize=True))):
        unit = texts / texts.norm(dim=1, keepdim=True)
        right = {style: (code @ unit.T).argmax(dim=1) == k for k, (style, code) in enumerate(codes.items())}
        found[f"style named, {way}"] = torch.cat(list(right.values())).float().mean()
        if way == "79 sentences":
            found |= {f"style named, {style}": value.float().mean() for style, value in right.items()}
            found["generated images named as drawn"] = (
                ((generated @ unit.T).argmax(dim=1) == 0).float().mean()
            )
    return found


def _attributes(clip: Clip, codes: dict[str, Tensor], data: DrawnPortraits) -> dict[str, float]:
    """Area under the curve of 'more like the one sentence than like the other'; mean over styles."""
    from sklearn.metrics import roc_auc_score

    hair, everyone = data.labels, np.ones(len(data), dtype=bool)
    truth = {
        "hat": (hair == STYLES.index("hat"), everyone),
        "long hair": (hair == STYLES.index("long hair"), hair != STYLES.index("hat")),
        "smile": (data.factors["mouth"] == 1, everyone),
    }
    found = {}
    for name, sentences in ATTRIBUTES.items():
        has, among = truth[name]
        yes, no = clip.encode_texts(sentences, normalize=True)
        scores = {style: (code @ (yes - no)).numpy() for style, code in codes.items()}
        areas = {style: roc_auc_score(has[among], score[among]) for style, score in scores.items()}
        found[f"{name} (area under the curve)"] = float(np.mean(list(areas.values())))
        found[f"{name} (area under the curve), as drawn"] = areas["as drawn"]
    return found


def _directions(clip: Clip, codes: dict[str, Tensor], generated: Tensor) -> dict[str, float]:
    """Cosines of the direction that the words take with those that the images of the same portrait take."""
    found = {}
    for source in SOURCES:
        start = label_code(clip, source)
        for style, code in codes.items():
            if style == "as drawn":
                continue
            label = STYLE_NAMES[style][0]
            words = label_code(clip, label) - start
            each = torch.cosine_similarity(code - codes["as drawn"], words[None])
            found[f"{source} -> {label}, same portrait"] = each.mean()
            of_means = torch.cosine_similarity(code.mean(0) - generated.mean(0), words, dim=0)
            found[f"{source} -> {label}, from generated images"] = of_means
    return found


def _images(clip: Clip, data: DrawnPortraits) -> Tensor:
    return torch.from_numpy(features(lambda x: clip.encode_images(x, normalize=True), data))


def _generated(clip: Clip) -> Tensor:
    """Unit codes of images of the shipped generator."""
    generator = EmbeddedStyleGAN2().eval()
    with torch.no_grad():
        images = generator.sample(PORTRAITS_MEASURED)
        return clip.encode_images(images.clamp(-1, 1), normalize=True)


if __name__ == "__main__":
    sys.exit(main())
