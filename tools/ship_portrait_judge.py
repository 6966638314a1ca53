"""Turn a run of configs/judge_portraits.py into the shipped files: float16 weights and a card.

    python tools/train.py configs/judge_portraits.py --work-dir runs/judge_portraits
    python tools/ship_portrait_judge.py runs/judge_portraits

Without a run it measures the shipped weights again and compares with the card.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _shipping
from ship_embedded_clip import features

from toolbox.config import load_config
from toolbox.data.drawn import STYLES, DrawnPortraits
from toolbox.data.drawn_styles import DRAWN_STYLES
from toolbox.interfaces import from_bytes
from toolbox.metrics.base import quantise
from toolbox.metrics.functional.frechet import frechet_distance
from toolbox.models.judge_embedded import CARD, WEIGHTS, PortraitJudge
from toolbox.models.stylegan2_embedded import EmbeddedStyleGAN2
from toolbox.training.checkpoints import network_state

Features = NDArray[np.float32]
CONFIG = "configs/judge_portraits.py"
MEASURED = 500  # portraits of each part, each in all styles
TOLERANCE = 0.01  # relative, or absolute below 1: another machine may flip single images
QUESTIONS = dict(style=list(DRAWN_STYLES), hair=list(STYLES))
LIMITS = (
    "Knows drawn portraits in seven styles, and what generators make that were trained on them or adapted to "
    "one of the styles. To any other image it gives an answer too, which means nothing."
)
SELECTION = (
    "Two earlier runs were also asked for mouths, and answered at chance on the same test portraits. The "
    "first had means over all places for features, and was right about hair in 0.77. Nothing else was tuned."
)


def main(arguments: Sequence[str] | None = None) -> int:
    shipment = _shipping.Shipment(WEIGHTS, CONFIG, ship, lambda: measure(PortraitJudge()), _near)
    return _shipping.main(shipment, __doc__, arguments)


def _near(value: float, found: float) -> bool:
    return abs(value - found) <= TOLERANCE * max(1.0, abs(value))


def ship(run: Path) -> None:
    """Write the run's averaged weights, and the card without measurements."""
    contents = _shipping.newest(run)
    state = network_state(contents["state_dict"], "classifier")
    _shipping.write_weights(state, WEIGHTS)
    settings = load_config(run / "config.json").model.networks.classifier
    network = {key: value for key, value in settings.items() if key != "type"}
    network["n_classes"] = int(np.prod([len(answers) for answers in QUESTIONS.values()]))
    card = _shipping.card_of(run, contents, state, WEIGHTS, CONFIG) | dict(
        network=network,
        questions=QUESTIONS,
        licence="weights: Apache-2.0; trained on the toolbox's own drawn portraits",
        limits=LIMITS,
        selection=SELECTION,
    )
    _shipping.write_card(CARD, card)


def measure(judge: PortraitJudge) -> dict[str, float]:
    """Everything the card claims, on test portraits; a floor is of test portraits against training ones."""
    shown = {style: DrawnPortraits("test", images=MEASURED, style=style) for style in DRAWN_STYLES}
    seen = {style: features(judge, data) for style, data in shown.items()}
    generated = _generated(judge)
    found = _right(judge, shown, seen)
    found["generated images judged as drawn"] = _share(judge, generated, "style", 0)
    for style, of_style in seen.items():
        train = features(judge, DrawnPortraits("train", images=MEASURED, style=style))
        found[f"Frechet distance to {style}: floor"] = _frechet(of_style, train)
        found[f"Frechet distance to {style}: of generated images"] = _frechet(of_style, generated)
        found[f"mean pairwise distance, {style}"] = pairwise(of_style)
    found["mean pairwise distance, generated images"] = pairwise(generated)
    return {name: round(float(value), 4) for name, value in found.items()}


def _right(
    judge: PortraitJudge, shown: dict[str, DrawnPortraits], seen: dict[str, Features]
) -> dict[str, float]:
    """How often each question is answered as it should be, over all styles and in each."""
    found: dict[str, float] = {}
    for question in QUESTIONS:
        shares = {}
        for k, (style, data) in enumerate(shown.items()):
            known = dict(style=np.full(len(data), k), hair=data.labels)
            answers = judge.answers(torch.from_numpy(seen[style]), question).argmax(dim=1).numpy()
            shares[f"{question}, {style}"] = float((answers == known[question]).mean())
        found |= {question: float(np.mean(list(shares.values()))), **shares}
    return found


def _share(judge: PortraitJudge, seen: Features, question: str, answer: int) -> float:
    answers = judge.answers(torch.from_numpy(seen), question).argmax(dim=1)
    return float((answers == answer).float().mean())


def _frechet(one: Features, other: Features) -> float:
    moments = [
        (x.mean(axis=0, dtype=np.float64), np.cov(x.astype(np.float64), rowvar=False)) for x in (one, other)
    ]
    return float(frechet_distance(*moments[0], *moments[1]))


def pairwise(seen: Features) -> float:
    """Mean of 1 - cos over all pairs."""
    unit = torch.nn.functional.normalize(torch.from_numpy(seen).double(), dim=1)
    n = len(unit)
    return float(1 - (unit.sum(dim=0).square().sum() - n) / (n * (n - 1)))


def _generated(judge: PortraitJudge) -> Features:
    """Features of images of the shipped generator, rounded to 8 bits as metrics do."""
    generator = EmbeddedStyleGAN2().eval()
    parts: list[Tensor] = []
    with torch.no_grad():
        for images in generator.sample(MEASURED).split(100):
            parts.append(judge(from_bytes(quantise(images.clamp(-1, 1)))))
    return torch.cat(parts).numpy()


if __name__ == "__main__":
    sys.exit(main())
