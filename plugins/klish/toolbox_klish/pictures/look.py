"""What the pictures of a run are made of: new samples, and what every classifier says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox.config import ConfigError
from toolbox.ranges import check_whole
from toolbox.runs.terminal import tracked
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.pictures.palette import Colours, distinct_colours, matched_colours, tree_colours
from toolbox_klish.pictures.step import Step, confidence, merge_step
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import PictureSettings
from toolbox_klish.segment import score_maps, segment

Labels = NDArray[np.integer]
_STRIP = 10  # numbers of clusters in the strip over K


def check_weights(run: ClusterRun) -> None:
    """Raise a ConfigError if the generator is not the one whose features were clustered."""
    fitted = run.record.get("generator", {}).get("fingerprint")
    if fitted is not None and fitted != fingerprint(run.generator):
        raise ConfigError(
            f"{run.folder}: the weights of its generator have changed since its features were clustered, so "
            "that the clusters do not fit them: put the old weights back, or fit again into another folder"
        )


class Look:
    """New samples under the classifiers of a run, all read in one pass over the generator.

    Args:
        run: fitted.
        settings: which samples.
        numbers: numbers of clusters to show; None = those of the run.
        seed: which fit; None = the run's first.

    Attributes:
        default: the clusterer that is shown first.
        tree: the fitted KLiSH, if that is the clusterer that is shown first.
        final: K of the classifier that is named.
        step: the merge to show, if there is one.
        images: (pool, 3, H, W) in [-1, 1], samples first.
        labels: {(clusterer, K): (images, h, w)}; over the whole pool for the final classifier and the step,
            else over the samples.
        confidences: {cluster: (pool, h, w)} of the clusters of the step.
        notes: what could not be shown, in words.
    """

    def __init__(
        self,
        run: ClusterRun,
        settings: PictureSettings,
        numbers: Sequence[int] | None = None,
        seed: int | None = None,
    ) -> None:
        self.run = run
        self.settings = settings
        self.notes: list[str] = []
        self.seed = run.seeds[0] if seed is None else seed
        self.final = int(run.config.final)
        self.default = run.default
        for k in numbers or ():
            check_whole(1, k=k)
        self.numbers = sorted(set(numbers or run.numbers), reverse=True)
        check_weights(run)
        model = run.model(self.default, self.seed)
        self.tree = model if isinstance(model, KLiSH) else None
        if self.tree is None:
            self.notes.append(
                f"{self.default} keeps no tree of merges and no planes, as KLiSH does: merges, a merge's "
                "confidence maps, IoU and the samples over K are not drawn"
            )
        self.step = self._step()
        self.images, self.labels, self.confidences = self._read()
        self.samples = self.images[: settings.samples]

    @property
    def strip_numbers(self) -> list[int]:
        """Numbers of clusters of the strip, from the first to the last that the tree has."""
        if self.tree is None:
            return []
        first = self.tree.clusters_
        last = first - len(self.tree.iou_) + 1
        numbers = {int(k) for k in np.geomspace(first, last, _STRIP).round()}
        if last <= self.final <= first:  # in the place of the number next to it
            movable = numbers - {first, last} or numbers
            near = min(movable, key=lambda k: abs(np.log(k / self.final)))
            numbers = numbers - {near} | {self.final, first, last}
        return sorted(numbers, reverse=True)

    def colours(self, name: str, k: int) -> Colours:
        """(k, 3) RGB: of the tree, or matched to those of the clusterer that is shown first."""
        if name == self.default:
            return distinct_colours(k) if self.tree is None else tree_colours(self.tree, k)
        labels = self.labels[name, k]
        reference = self.labels.get((self.default, k))
        if reference is None:
            return distinct_colours(k)
        return matched_colours(labels, k, reference[: len(labels)], self.colours(self.default, k))

    def shares(self, name: str, k: int) -> NDArray[np.float64]:
        """(k) share of the samples' pixels."""
        counts = np.bincount(self.labels[name, k][: self.settings.samples].ravel(), minlength=k)
        return np.asarray(counts / counts.sum())

    def iou(self, k: int) -> NDArray[np.float64] | None:
        """(k) IoU of the tree's clusters with the rows that they were fitted on; None without a record."""
        if self.tree is None:
            return None
        step = self.tree.clusters_ - k
        return np.asarray(self.tree.iou_[step, :k]) if 0 <= step < len(self.tree.iou_) else None

    def _step(self) -> Step | None:
        if self.tree is None or not len(self.tree.merges_):
            return None
        k = self.settings.step
        if k is None:  # the merge that led to the final classifier
            k = min(self.final + 1, self.tree.clusters_)
        try:
            return merge_step(self.tree, k)
        except ValueError as error:
            self.notes.append(f"the merge of pictures.step is not shown: {error}")
            return None

    def _read(self) -> tuple[Tensor, dict[tuple[str, int], Labels], dict[int, Tensor]]:
        """One pass over the pool: images, labels, confidences."""
        few = self.settings.samples
        pool = max(few, self.settings.pool)
        size = min(self.run.generator.image_size, self.run.config.features.size)
        stream = self.run.stream(pool, seed=self.settings.seed, size=size, pixels=None)
        readers = self._readers(size)
        whole = [(self.default, self.final), *self._step_keys()]  # what is read over the whole pool
        found: dict[Any, list[Tensor]] = {key: [] for key in readers}
        images = []
        for i in tracked(range(pool), pool, "samples"):
            images.append(stream.image(i).cpu())
            maps = stream.maps(i)
            for key, read in readers.items():
                if i < few or key in whole:
                    found[key].append(read(maps)[0].cpu())
        confidences: dict[int, Tensor] = {}
        if "step" in found:
            each = torch.stack(found.pop("step"))  # (pool, clusters of the step, h, w)
            confidences = {cluster: each[:, place] for place, cluster in enumerate(self._concerned())}
        labels: dict[tuple[str, int], Labels] = {}
        for key, parts in found.items():
            labels[key] = torch.stack(parts).numpy().astype(np.int16)
        return torch.stack(images), labels, confidences

    def _readers(self, size: int) -> dict[Any, Callable[[list[Tensor]], Tensor]]:
        """{what: function of the maps of one image}."""

        def reader(classifier: Any) -> Callable[[list[Tensor]], Tensor]:
            return lambda maps: segment(classifier, maps, size)

        readers: dict[Any, Any] = {key: reader(classifier) for key, classifier in self._classifiers().items()}
        if self.tree is not None and self.step is not None:
            planes = self.tree.cut(self.step.k)
            readers["step"] = lambda maps: confidence(score_maps(planes, maps, size)[:, self._concerned()])
        return readers

    def _classifiers(self) -> dict[tuple[str, int], Any]:
        """Every clusterer at every number that is to be shown; what there is not, is noted."""
        wanted = [(name, k) for k in self.numbers for name in self.run.clusterers]
        wanted += [(self.default, k) for k in (self.final, *self.strip_numbers)]
        wanted += [key for key in self._step_keys() if key != "step"]
        found = {}
        for name, k in dict.fromkeys(wanted):
            try:
                found[name, k] = self.run.classifier(k, name, self.seed)
            except (ValueError, LookupError) as error:
                self.notes.append(f"{name} at K = {k} is not shown: {error}")
        return found

    def _step_keys(self) -> list[Any]:
        """What the picture of the step is made of."""
        if self.step is None:
            return []
        return ["step", (self.default, self.step.k), (self.default, self.step.k - 1)]

    def _concerned(self) -> list[int]:
        """The clusters of the step: p, q and the runner-up."""
        if self.step is None:
            return []
        clusters = [self.step.removed, self.step.kept]
        if self.step.runner_up is not None:
            clusters.append(self.step.runner_up)
        return clusters
