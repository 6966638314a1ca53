"""Turn a run of configs/clip_embedded_vit.py into the shipped files: float16 weights and a card.

    python tools/train.py configs/clip_embedded_vit.py --work-dir runs/clip_embedded_vit
    python tools/ship_embedded_vit.py runs/clip_embedded_vit

Without a run it measures the shipped weights again and compares with the card.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _shipping
from ship_embedded_clip import LICENCE, LIMITS, near, retrieval, zero_shot

from toolbox.data.embedded import EmbeddedEmoji, EmbeddedFashion
from toolbox.models.clip_embedded import VIT, EmbeddedViT
from toolbox.weights.card import card_path

CONFIG = "configs/clip_embedded_vit.py"
PREFIX = "networks.clip.model.visual."


def main(arguments: Sequence[str] | None = None) -> int:
    return _shipping.main(_shipping.Shipment(VIT, CONFIG, ship, measure, near), __doc__, arguments)


def ship(run: Path) -> None:
    """Write the run's image encoder, and the card without measurements."""
    contents = _shipping.newest(run)
    state = _shipping.below(contents, PREFIX)
    _shipping.write_weights(state, VIT)
    card = _shipping.card_of(run, contents, state, VIT, CONFIG) | dict(
        architecture="image encoder of EmbeddedViT; the text encoder is EmbeddedClip's",
        licence=LICENCE,
        limits=LIMITS,
        selection="One run, its settings not tuned.",
    )
    _shipping.write_card(card_path(VIT), card)


def measure() -> dict[str, float]:
    """Everything the card claims, on the parts that training did not see."""
    clip = EmbeddedViT()
    found = {
        "fashion zero-shot": zero_shot(clip, EmbeddedFashion("test"), "a photo of a {}"),
        "emoji category zero-shot": zero_shot(clip, EmbeddedEmoji("test"), "an emoji of {}"),
        **retrieval(clip, EmbeddedEmoji("test")),
    }
    return {name: round(float(value), 4) for name, value in found.items()}


if __name__ == "__main__":
    sys.exit(main())
