"""The judge that is shipped with the toolbox: the style and the hair of drawn portraits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.models.classifiers import PlacedConvNet
from toolbox.models.extractors import FrozenExtractor, resize
from toolbox.weights.reading import read_weights

FOLDER = Path(__file__).parent / "embedded"
WEIGHTS = FOLDER / "judge_portraits.safetensors"
CARD = FOLDER / "judge_portraits.json"


class PortraitJudge(FrozenExtractor):
    """A small classifier of drawn portraits that no loss sees: it judges what was adapted.

    It learnt which of seven styles and which of three kinds of hair (short, long, under a hat) a portrait of
    :class:`toolbox.data.drawn.DrawnPortraits` has (``configs/judge_portraits.py``). Its card says how often
    it is right. Distances in its features (``fid[toy-portrait-judge,2k]``) compare portraits with each other,
    and with nothing else.

    Attributes:
        questions: {question: its answers}; 'style' and 'hair'.
        card: what is known of the weights: how they were trained, and what was measured.
    """

    def __init__(self) -> None:
        super().__init__()
        self.card: dict[str, Any] = json.loads(CARD.read_text(encoding="utf-8"))
        self.questions: dict[str, list[str]] = dict(self.card["questions"])
        self.network = PlacedConvNet(**self.card["network"])
        state = read_weights(WEIGHTS).tensors
        self.network.load_state_dict({key: _full(value) for key, value in state.items()})
        self.n_features = self.network.n_features
        self.size = self.network.image_size
        self.preprocessing = f"bicubic antialias {self.size}"
        self.name = "toy-portrait-judge"
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1], brought to 64 pixels."""
        return self.network.features(resize(images.float(), self.size))

    def answers(self, features: Tensor, question: str) -> Tensor:
        """(N, answers) probabilities of each answer, from the features of N images.

        Raises:
            ValueError: for a question that it was not taught.
        """
        if question not in self.questions:
            raise ValueError(f"question={question!r} is not one of {', '.join(self.questions)}")
        together = torch.softmax(self.network.head(features), dim=1)  # of all answers to all questions
        each = together.view(-1, *(len(answers) for answers in self.questions.values()))
        asked = 1 + list(self.questions).index(question)
        return each.sum(dim=[axis for axis in range(1, each.ndim) if axis != asked])


def _full(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
