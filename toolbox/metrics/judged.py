"""What a judge says of generated images: a classifier that answers questions and that no loss has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.interfaces import FeatureExtractor, Sample
from toolbox.metrics.base import ExtractorMetric, FeatureBank, features_of


@runtime_checkable
class Judge(Protocol):
    """An extractor whose features answer questions, such as :class:`~toolbox.models.PortraitJudge`.

    Attributes:
        questions: {question: its answers}.
    """

    questions: Mapping[str, list[str]]

    def answers(self, features: Tensor, question: str) -> Tensor:
        """(N, answers) probabilities, from the features of N images."""
        ...


class _JudgedMetric(ExtractorMetric):
    """Keeps one number of each image: whether the judge's answer is the one that is counted.

    ``compute`` gives the mean ('').
    """

    higher_is_better = True

    def __init__(
        self, extractor: FeatureExtractor | dict[str, Any], question: str, n_fake: int | None = None
    ) -> None:
        super().__init__(extractor, n_fake)
        if not isinstance(self.extractor, Judge):
            raise ValueError(
                f"extractor is a {type(self.extractor).__name__}, which answers no questions: give a judge, "
                "such as dict(type='PortraitJudge')"
            )
        self.judge: Judge = self.extractor
        if question not in self.judge.questions:
            known = self.judge.questions
            raise ValueError(
                f"question={question!r} is not one of {', '.join(known)}{near_miss(question, known)}"
            )
        self.question = question
        self._right = FeatureBank(1)

    @property
    def n_fed(self) -> int:
        return self._right.n

    def answered(self, sample: Sample) -> Tensor:
        """(N,) number of the judge's likeliest answer."""
        return self.judge.answers(features_of(self.extractor, sample), self.question).argmax(dim=1)

    def count(self, right: Tensor, index: Tensor | None) -> None:
        """Take in (N,) bool of the images ``index``."""
        self._right.update(right.float()[:, None], index=index)

    def compute(self) -> dict[str, float]:
        if self.n_fed < 1:
            raise ValueError(f"{self.title}: no generated images were fed")
        self._check_count()
        return {"": float(torch.from_numpy(self._right.features).double().mean())}

    def state(self) -> dict[str, Any]:
        return self._right.state()

    def merge(self, state: dict[str, Any]) -> None:
        """Fold in what another process was fed."""
        self._right.merge(state)

    def reset(self) -> None:
        """Forget what was fed."""
        self._right = FeatureBank(1)


class JudgedShare(_JudgedMetric):
    """Share of generated images in which a judge sees ``answer``; [0, 1], more is better.

    Args:
        extractor: a judge, ``dict(type='PortraitJudge')``. No loss should have seen it.
        answer: what is hoped for, such as 'watercolour'.
        question: which of the judge's questions it answers.
        n_fake: how many generated images; None: as many as are fed.

    Raises:
        ValueError: for a question or an answer that the judge does not know.
    """

    title = "judged"
    needs: tuple[str, ...] = ("fake",)

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        answer: str,
        question: str = "style",
        n_fake: int | None = None,
    ) -> None:
        super().__init__(extractor, question, n_fake)
        known = self.judge.questions[question]
        if answer not in known:
            raise ValueError(
                f"answer={answer!r} is none of {question!r}, {', '.join(known)}{near_miss(answer, known)}"
            )
        self.answer = answer

    @property
    def name(self) -> str:
        """``judged-watercolour[judge,number of fakes]``."""
        title, rest = super().name.split("[", 1)
        return f"{title}-{self.answer.replace(' ', '-')}[{rest}"

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images."""
        wanted = self.judge.questions[self.question].index(self.answer)
        self.count(self.answered(sample) == wanted, sample.index)


class AnswersKept(_JudgedMetric):
    """Share of pairs whose two images get the same answer from a judge; [0, 1], more is better.

    Args:
        extractor: a judge, ``dict(type='PortraitJudge')``.
        question: what should be kept, such as 'hair'.
        n_fake: how many pairs; None: as many as are fed.

    Raises:
        ValueError: for a question that the judge does not know.
    """

    title = "kept"
    needs: tuple[str, ...] = ("pairs",)

    @property
    def name(self) -> str:
        """``kept-hair[judge,number of pairs]``."""
        title, rest = super().name.split("[", 1)
        return f"{title}-{self.question.replace(' ', '-')}[{rest}"

    def update_pairs(self, source: Sample, fake: Sample) -> None:
        """Take in generated images, and those they were made from."""
        self.count(self.answered(source) == self.answered(fake), fake.index)
