"""An extractor as the one player of a game without images: generator and teacher stand still."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import Objective, Turn
from toolbox.ranges import check_in, check_positive, check_seed, check_whole, given
from toolbox_klish.lse import losses
from toolbox_klish.lse.annotations import Annotations, annotate
from toolbox_klish.lse.taps import Taps


class _OfTaps(Objective):
    """What the two terms below share: images, maps and labels of a turn."""

    formula = ""

    def __init__(
        self,
        extractor: str = "lse",
        generator: str = "generator",
        teacher: str = "teacher",
        truncation: float = 0.7,
        size: int | None = None,
        annotated: int | None = None,
        annotations: str | None = None,
        annotated_seed: int = 0,
    ) -> None:
        super().__init__()
        check_in("(0, 1]", truncation=truncation)
        check_whole(1, **given(size=size, annotated=annotated))
        check_seed(annotated_seed=annotated_seed)
        if annotated is not None and annotations is not None:
            raise ValueError(f"annotated={annotated}, annotations={annotations!r}: give one of them")
        self.extractor, self.generator, self.teacher = extractor, generator, teacher
        self.truncation, self.size = truncation, size
        self.annotated, self.annotations, self.annotated_seed = annotated, annotations, annotated_seed
        self.formulas = {extractor: self.formula}
        self._few: Annotations | None = None  # a function of frozen networks and a seed, or a file
        self._log: dict[str, Tensor] = {}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The extractor's."""
        return {self.extractor: self._loss}

    @abstractmethod
    def _of(self, extractor: Any, scores: Tensor, labels: Tensor) -> Tensor:
        """The term, of scores (N, parts, H, H) and labels (N, H, H)."""

    def _loss(self, turn: Turn) -> Tensor:
        extractor = turn.network(self.extractor)
        few = self.annotated is not None or self.annotations is not None
        taps, labels = self._annotated(turn) if few else self._fresh(turn)
        scores = extractor(taps.maps(extractor.layers), labels.shape[-1])
        self._log = {"agrees": (scores.detach().argmax(1) == labels).float().mean()}
        return self._of(extractor, scores, labels)

    def _fresh(self, turn: Turn) -> tuple[Taps, Tensor]:
        """New images, labelled by the teacher."""
        taps = Taps.draw(turn.network(self.generator), turn.rng, turn.rows, self.truncation)
        taps.walk(turn.network(self.extractor).layers)
        return taps, turn.network(self.teacher).labels(taps.images(), self._side(turn))

    def _annotated(self, turn: Turn) -> tuple[Taps, Tensor]:
        """The next of the annotated images, with fresh noise."""
        few = self._kept(turn)
        start = turn.iteration * turn.rows.total
        numbers = [(start + row) % len(few) for row in range(turn.rows.start, turn.rows.stop)]
        generator = turn.network(self.generator)
        noise = int(torch.randint(2**62, (1,), generator=turn.rng))
        taps = few.taps(generator, numbers, noise, turn.rows)
        return taps, few.truth(numbers, taps.latents.device)

    def _kept(self, turn: Turn) -> Annotations:
        if self._few is None:
            parts = list(turn.network(self.extractor).part_names)
            self._few = self._read(turn)
            if list(self._few.part_names) != parts:
                raise ValueError(
                    f"annotations name {list(self._few.part_names)}, the extractor knows {parts}"
                )
        return self._few

    def _read(self, turn: Turn) -> Annotations:
        if self.annotations is not None:
            return Annotations.load(self.annotations)
        generator, teacher = turn.network(self.generator), turn.network(self.teacher)
        assert self.annotated is not None
        seed, size = self.annotated_seed, self._side(turn)
        return annotate(generator, teacher, self.annotated, seed, self.truncation, size)

    def _side(self, turn: Turn) -> int:
        return self.size or turn.network(self.generator).image_size

    def log(self) -> dict[str, Tensor]:
        """agrees: share of pixels whose part of the highest score is the label."""
        values, self._log = self._log, {}
        return values


class TapCrossEntropy(_OfTaps):
    """-E log softmax(S(maps of G(z)))_y, y the part that a teacher sees in a pixel of G(z) (KLiSH, LSE).

    Args:
        extractor: network that is trained, of maps; :class:`toolbox_klish.lse.extractors.LSE`.
        generator: whose maps; it stands still.
        teacher: segmenter of its images.
        truncation: of the images; 0.7 in the authors' code.
        size: pixels at which teacher and extractor are compared; None = those of the images.
        annotated: so many images, again and again, in place of new ones; None = new ones.
        annotations: npz of annotated images (see :class:`toolbox_klish.lse.annotations.Annotations`).
        annotated_seed: of the images of ``annotated``.
    """

    formula = "-E log softmax(S)_y over the pixels of G(z), y by the teacher"

    def _of(self, extractor: Any, scores: Tensor, labels: Tensor) -> Tensor:
        return losses.cross_entropy(scores, labels)


class TapHinge(_OfTaps):
    """C mean max(0, 1 - y_k S_k)^2 + 1/2 sum_l mean_k |w_lk|^2: one SVM a part, on the same maps (table III).

    Args:
        C: 5000.
        others: as of :class:`TapCrossEntropy`.
    """

    formula = "C mean max(0, 1 - y_k S_k)^2 + 1/2 sum_l mean_k |w_lk|^2, y by the teacher"

    def __init__(self, C: float = losses.C, **others: Any) -> None:
        super().__init__(**others)
        check_positive(C=C)
        self.C = C

    def _of(self, extractor: Any, scores: Tensor, labels: Tensor) -> Tensor:
        return losses.svm(extractor, scores, labels, self.C)
