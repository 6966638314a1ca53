"""Extractors fitted in Python, without a run: from a few annotated images, or from new ones and a teacher.

few = annotate(generator, teacher, images=10, seed=0)
lse = fit_few(generator, few)
planes = Planes.of(lse)  # what segments images, as a clusterer does
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import Generator, Segmenter
from toolbox.randomness import mix, seeded
from toolbox.ranges import check_whole
from toolbox.runs.files import write_whole
from toolbox.weights.reading import read_nested
from toolbox_klish.lse.annotations import Annotations
from toolbox_klish.lse.extractors import LSE, TapExtractor
from toolbox_klish.lse.losses import cross_entropy
from toolbox_klish.lse.taps import Taps, drawn

Batch = tuple[Taps, Tensor]  # images, and labels (N, H, H) of their pixels
Loss = Callable[[Any, Tensor, Tensor], Tensor]  # of an extractor, its scores and the labels
FEW = 6400  # images that are shown to an extractor of few annotations: 50 times 128
DROP = 0.4  # of the steps; then the learning rate is a tenth


def of_cross_entropy(extractor: Any, scores: Tensor, labels: Tensor) -> Tensor:
    """:func:`toolbox_klish.lse.losses.cross_entropy` as a :data:`Loss`."""
    return cross_entropy(scores, labels)


@dataclass
class Fit:
    """Extractors that are fitted side by side, on the same maps: Adam, a tenth of the rate after a share.

    Attributes:
        extractors: {name: network}, of the same layers.
        loss: {name: what it minimises}.
        lr: of Adam.
        steps: of all, for the drop.
        done: steps taken.
    """

    extractors: Mapping[str, TapExtractor]
    loss: Mapping[str, Loss]
    steps: int
    lr: float = 1e-3
    done: int = 0
    _optimizers: dict[str, torch.optim.Optimizer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, extractor in self.extractors.items():
            parameters = [value for value in extractor.parameters() if value.requires_grad]
            self._optimizers[name] = torch.optim.Adam(parameters, lr=self.lr)

    def step(self, taps: Taps, labels: Tensor) -> None:
        """One of Adam for each, on these images."""
        layers = next(iter(self.extractors.values())).layers
        self.step_on(taps.maps(layers), labels)

    def step_on(self, maps: Sequence[Tensor], labels: Tensor) -> None:
        """The same, of maps at hand."""
        rate = self.lr * (0.1 if self.done >= DROP * self.steps else 1)
        for name, extractor in self.extractors.items():
            optimizer = self._optimizers[name]
            optimizer.param_groups[0]["lr"] = rate
            loss = self.loss[name](extractor, extractor(maps, labels.shape[-1]), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.done += 1

    def state(self) -> dict[str, Any]:
        """All that a later :meth:`step` depends on."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}
        networks = {name: extractor.state_dict() for name, extractor in self.extractors.items()}
        return dict(done=self.done, networks=networks, optimizers=optimizers)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.done = state["done"]
        for name, extractor in self.extractors.items():
            extractor.load_state_dict(state["networks"][name])
            self._optimizers[name].load_state_dict(state["optimizers"][name])


def fit_few(
    generator: Generator,
    annotations: Annotations,
    shown: int = FEW,
    lr: float = 1e-3,
    seed: int = 0,
    batch_size: int = 16,
    keep: Keep | None = None,
    **arguments: Any,
) -> LSE:
    """LSE from a few annotated images (KLiSH, section 4.3): no bias, plain sum, fresh noise each time.

    A step sees all images, or ``batch_size`` of them in turn where there are more.

    Args:
        generator: in eval mode.
        annotations: of its images.
        shown: images shown in all; the authors' 6400.
        lr: of Adam; a tenth after 40 % of the steps.
        seed: of start and noise.
        batch_size: most images of a step.
        keep: where the fit is kept on the way.
        arguments: further ones of :class:`LSE` (layers, weighting, bias).
    """
    check_whole(1, shown=shown, batch_size=batch_size)
    extractor = _new(generator, annotations.part_names, seed, arguments)
    n = min(len(annotations), batch_size)
    fit = Fit({"lse": extractor}, {"lse": of_cross_entropy}, max(shown // n, 1), lr)
    return _played(fit, lambda step: few_batch(generator, annotations, step, n, seed), keep)


def few_batch(generator: Generator, annotations: Annotations, step: int, n: int, seed: int) -> Batch:
    """The next n annotated images, with noise of their own at each step."""
    numbers = [(step * n + row) % len(annotations) for row in range(n)]
    taps = annotations.taps(generator, numbers, mix(seed, "few", step))
    return taps, annotations.truth(numbers, taps.latents.device)


def fit_full(
    generator: Generator,
    teacher: Segmenter,
    steps: int,
    batch_size: int = 4,
    lr: float = 1e-3,
    seed: int = 0,
    truncation: float = 0.7,
    size: int | None = None,
    keep: Keep | None = None,
    **arguments: Any,
) -> LSE:
    """LSE from new images at every step, labelled by a teacher; arguments as of :func:`fit_few`."""
    extractor = _new(generator, teacher.part_names, seed, arguments)
    fit = Fit({"lse": extractor}, {"lse": of_cross_entropy}, steps, lr)
    size = size or generator.image_size

    def batch(step: int) -> Batch:
        return taught(generator, teacher, extractor.layers, step, batch_size, seed, truncation, size)

    return _played(fit, batch, keep)


def taught(
    generator: Generator,
    teacher: Segmenter,
    layers: Sequence[str],
    step: int,
    batch_size: int,
    seed: int,
    truncation: float,
    size: int,
) -> Batch:
    """New images of a step with a teacher's labels: a function of seed and step."""
    taps = drawn(generator, batch_size, seed, "taught", step, truncation=truncation).walk(layers)
    return taps, teacher.labels(taps.images(), size)


@dataclass(frozen=True)
class Keep:
    """Where a fit is kept on the way, and found again.

    Attributes:
        file: of its state.
        every: steps between two states.
        tell: told what is done, how much of it, and of how much.
    """

    file: Path
    every: int = 50
    tell: Callable[[str, int, int], None] = lambda what, done, total: None

    def begin(self, fit: Fit) -> None:
        """Go on where the file was written, if there is one."""
        if self.file.is_file():
            fit.load_state(read_nested(self.file))

    def after_step(self, fit: Fit) -> None:
        """Write the file when it is time."""
        if fit.done % self.every == 0:
            write_whole(self.file, lambda file: torch.save(fit.state(), file))
            self.tell("training", fit.done, fit.steps)


def _played(fit: Fit, batch: Callable[[int], Batch], keep: Keep | None) -> LSE:
    """All steps that are left."""
    if keep is not None:
        keep.begin(fit)
    while fit.done < fit.steps:
        fit.step(*batch(fit.done))
        if keep is not None:
            keep.after_step(fit)
    extractor: Any = fit.extractors["lse"]
    finished: LSE = extractor.requires_grad_(False).eval()
    return finished


def _new(generator: Generator, part_names: Any, seed: int, arguments: Mapping[str, Any]) -> LSE:
    with seeded(seed, "lse"):
        extractor = LSE(part_names, generator, **arguments)
    return extractor.to(next(generator.parameters()).device)


class GeneratedParts:
    """What an extractor sees in a generator's images: ``parts(4, seed=1)`` gives images and their masks.

    Args:
        generator: in eval mode.
        extractor: of its layers.
        size: pixels of the masks; None = those of the images.
    """

    def __init__(self, generator: Generator, extractor: TapExtractor, size: int | None = None) -> None:
        self.generator = generator
        self.extractor = extractor
        self.size = size or generator.image_size

    def __call__(self, n: int, seed: int = 0, truncation: float = 0.7) -> tuple[Tensor, Tensor]:
        """(images (n, 3, H, W) in [-1, 1], parts (n, size, size) int64) of random images, noise fresh."""
        taps = drawn(self.generator, n, seed, "shown", truncation=truncation).walk(self.extractor.layers)
        return taps.images(), self.of(taps)

    @torch.no_grad()
    def of(self, taps: Taps) -> Tensor:
        """Parts (N, size, size) int64 of images at hand."""
        return self.extractor(taps.maps(self.extractor.layers), self.size).argmax(dim=1)
