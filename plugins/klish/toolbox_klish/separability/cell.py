"""One generator under one seed: LSE, SVM and centroids of the same images, judged on new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import Generator, Segmenter
from toolbox.metrics.segmentation import SegmentationScores
from toolbox.randomness import seeded
from toolbox.runs.files import write_whole
from toolbox.weights.reading import read_nested
from toolbox_klish.lse.extractors import LSE
from toolbox_klish.lse.fitting import Fit, of_cross_entropy, taught
from toolbox_klish.lse.losses import svm
from toolbox_klish.lse.planes import Planes
from toolbox_klish.lse.taps import drawn
from toolbox_klish.segment import segment
from toolbox_klish.separability.centroids import Centroids
from toolbox_klish.separability.plan import Budget

TEST_SEED = 2022  # of the images that are judged on: the authors'
_KEPT_EVERY = 50  # steps

Found = dict[str, Planes]  # by method
Tell = Callable[[str, int, int], None]  # what, how much is done, of how much


@dataclass
class Training:
    """The three of METHODS on the way; ``at`` keeps it, and goes on with what is kept.

    Attributes:
        generator, teacher: in eval mode, on one device.
        budget, seed: of it.
        at: file of its state; None = nothing is kept.
    """

    generator: Generator
    teacher: Segmenter
    budget: Budget
    seed: int
    at: Path | None = None
    fit: Fit = field(init=False)
    centroids: Centroids = field(init=False)

    def __post_init__(self) -> None:
        c = self.budget.C
        with seeded(self.seed, "lse"):
            lse = LSE(self.teacher.part_names, self.generator, bias=True)
        extractors = {"LSE": lse, "SVM": _copy(lse)}
        device = next(self.generator.parameters()).device
        loss = {
            "LSE": of_cross_entropy,
            "SVM": lambda network, scores, labels: svm(network, scores, labels, c),
        }
        networks = {name: network.to(device) for name, network in extractors.items()}
        self.fit = Fit(networks, loss, self.budget.steps, self.budget.lr)
        self.centroids = Centroids(lse.part_names, lse.layers, lse.channels)
        if self.at is not None and self.at.is_file():
            self._load(read_nested(self.at))

    def run(self, tell: Tell) -> Found:
        """Planes of each method."""
        layers, budget = self.centroids.layers, self.budget
        size = budget.size or self.generator.image_size
        own = (budget.batch_size, self.seed, budget.truncation, size)
        while self.fit.done < budget.steps:
            taps, labels = taught(self.generator, self.teacher, layers, self.fit.done, *own)
            maps = taps.maps(layers)
            self.centroids.take(maps, labels)
            self.fit.step_on(maps, labels)
            if self.fit.done % _KEPT_EVERY == 0:
                self._keep()
                tell("training", self.fit.done, self.budget.steps)
        planes = {name: Planes.of(self._linear(name)) for name in ("LSE", "SVM")}
        return {**planes, "centroids": self.centroids.planes()}

    def _linear(self, name: str) -> LSE:
        network = self.fit.extractors[name]
        assert isinstance(network, LSE)
        return network

    def _keep(self) -> None:
        if self.at is not None:
            state = dict(fit=self.fit.state(), centroids=self.centroids.state())
            write_whole(self.at, lambda file: torch.save(state, file))

    def _load(self, state: Mapping[str, Any]) -> None:
        self.fit.load_state(state["fit"])
        self.centroids.load_state(dict(state["centroids"]))


def judge(
    generator: Generator, teacher: Segmenter, found: Found, budget: Budget, tell: Tell
) -> dict[str, dict[str, Any]]:
    """{method: scores, see SegmentationScores.compute} on new images, the teacher's labels as truth."""
    scores = {name: SegmentationScores(len(teacher.part_names)) for name in found}
    for start in range(0, budget.test_images, budget.batch_size):
        n = min(budget.batch_size, budget.test_images - start)
        truth, masks = masks_of(generator, teacher, found, budget, n, start)
        for name in found:
            scores[name].update(truth, masks[name])
        tell("judging", start + n, budget.test_images)
    return {name: one.compute() for name, one in scores.items()}


def masks_of(
    generator: Generator, teacher: Segmenter, found: Found, budget: Budget, n: int, start: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Of n test images: the teacher's labels (n, H, H), and those of each method."""
    size = budget.size or generator.image_size
    taps = drawn(generator, n, TEST_SEED, "separability", start, truncation=budget.truncation)
    layers = next(iter(found.values())).layers
    maps = taps.walk(layers).maps(layers)
    masks = {name: segment(planes, maps, size) for name, planes in found.items()}
    return teacher.labels(taps.images(), size), masks


def _copy(extractor: LSE) -> LSE:
    """Another with the same tensors."""
    other = LSE(extractor.part_names, None, None, extractor.layers, extractor.channels, bias=True)
    other.load_state_dict(extractor.state_dict())
    return other
