"""The contract of a conditioner: what generated images are asked to show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.interfaces.described import Described
from toolbox.interfaces.extractor import FeatureExtractor
from toolbox.interfaces.sample import Condition, Sample


@dataclass(frozen=True)
class Request:
    """What somebody wants images to show. Every field is optional; a conditioner grants those that it knows.

    Attributes:
        class_name: name of a class.
        mode: number of one mode inside the class (a cluster), counted from 0.
        coefficients: shares of the class's modes, numbers >= 0 with sum 1.
        text: a caption.
        mask: (H, W) int64 semantic map.
    """

    class_name: str | None = None
    mode: int | None = None
    coefficients: tuple[float, ...] | None = None
    text: str | None = None
    mask: Tensor | None = None

    def asks(self) -> list[str]:
        """Names of the fields that are set."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


class Conditioner(Described, nn.Module, ABC):
    """Decides what generated images are asked to be, and completes what is known of real ones.

    What it learns or stores is in buffers and parameters, so a checkpoint (and a release) holds it.

    Attributes:
        class_names: the classes, in the order of the labels; empty where there are none.
        classifier: name of the game's network that labels unlabelled images; None where there is none.
        extractor: frozen network, no submodule, on whose features modes are found; None where there is none.
        grants: fields of a :class:`Request` that can be asked for.
        on_host: its tables are bookkeeping and stay on the CPU, wherever the game plays. It then sees real
            batches as they were loaded, and what it gives travels to the device together with them.
    """

    class_names: Sequence[str] = ()
    classifier: str | None = None
    extractor: FeatureExtractor | None = None
    grants: tuple[str, ...] = ("class_name",)
    on_host: bool = False

    @classmethod
    def count_conditions(cls, classes: Sequence[str], **arguments: Any) -> int:
        """Rows of conditions that networks need (``n_conditions='data:n_conditions'``), before it is built.

        Args:
            classes: names of the data set's classes.
            **arguments: of the constructor.
        """
        return len(classes)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """What ``.to(...)`` does to its tensors: where it is ``on_host``, their type may change, no more."""
        if self.on_host:
            change = fn
            fn = lambda tensor: tensor.to(change(tensor.new_zeros(())).dtype)  # noqa: E731
        return super()._apply(fn, recurse)

    # -- training --------------------------------------------------------------------------------------------

    def prepare(self, dataset: Any, game: Any) -> None:
        """Once, before the first iteration of a run; never on resume. ``dataset`` is the training set.

        That of a game without images has a length and nothing else: what it is asked for it has not, and the
        run ends with a sentence that says so.
        """

    def real(self, sample: Sample) -> Condition:
        """The full condition of a real batch. Default: as the data gives it.

        Images are as they were loaded: uint8, or floats in [-1, 1].
        """
        return sample.condition

    def of_real(self, real: Sample, rng: torch.Generator) -> Condition | None:
        """What images that are generated beside these real ones are asked to show: their own captions, say.

        Asked first, with the rows at hand; None (the default) = :meth:`sample` draws it. ``rng`` is a
        function of seed and iteration, alike on all processes.
        """
        return None

    def complete(self, condition: Condition) -> Condition:
        """With what networks compute of it added (text codes): once a batch, on the device, no gradients.

        The same in training, in a sampler and in a release. Default: as it is.
        """
        return condition

    def of_texts(self, texts: Sequence[str]) -> Condition:
        """The condition that each text describes.

        Raises:
            ValueError: where images cannot be asked for in words.
        """
        raise ValueError(f"{type(self).__name__} cannot be asked for in words")

    def in_words(self, condition: Condition) -> list[str]:
        """A text for each row of a condition; [] where there are none."""
        return []

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Conditions of n images to generate, a function of ``rng`` (and of ``labels`` (n,), when given)."""

    def after_iteration(self, game: Any, real: Sample, rng: torch.Generator) -> None:
        """Moving state (prototypes, banks); not called in a game without images.

        ``real`` holds this process's rows of the iteration's real batch. Its
        images and condition are on the game's device, its index is on the CPU where it is ``on_host``.

        State must stay equal on all processes: gather what it is moved by with ``game.gather(tensor)``, which
        gives the rows of the whole batch in the order that one process would see; ``rng`` is the same on all.
        """

    def forget_features(self) -> None:
        """Drop what only training needs (features of training images): called before a release is written."""

    # -- asking for something in particular ------------------------------------------------------------------

    def requests(self) -> dict[str, dict[str, Request]]:
        """What can be asked for by name: ``{kind: {name: Request}}``, such as kind 'class', name 'cat'.

        A picture has a row for each name of one kind; the first kind is the usual one. Default: the classes.
        """
        classes = {name: Request(class_name=name) for name in self.class_names}
        return {"class": classes} if classes else {}

    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        """Conditions of n images that show what is asked for; the rest is drawn from ``rng``.

        Raises:
            ValueError: for what cannot be asked for here, naming what can; for an unknown class.
        """
        label = self.label_of(request)
        labels = None if label is None else torch.full((n,), label)
        return self.sample(n, rng, labels)

    def label_of(self, request: Request) -> int | None:
        """Number of the class asked for, or None; refuses what is not granted (see :meth:`fulfil`)."""
        granted = self.grants if self.class_names else [name for name in self.grants if name != "class_name"]
        for name in request.asks():
            if name not in granted:
                known = ", ".join(granted) or "nothing in particular"
                value = getattr(request, name)
                said = "" if isinstance(value, Tensor) else f"={value!r}"  # a mask is no word
                raise ValueError(
                    f"{type(self).__name__} cannot be asked for {name}{said}; it can be asked for: {known}"
                )
        wanted = request.class_name
        if wanted is None:
            return None
        if wanted not in self.class_names:
            raise ValueError(
                f"no class is called {wanted!r}{near_miss(wanted, self.class_names)}; "
                f"classes: {', '.join(self.class_names)}"
            )
        return list(self.class_names).index(wanted)

    def modes(self) -> Condition | None:
        """One condition for each mode that can be asked for alone (a cluster); None where there are none."""
        return None

    def assign(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Mode (N,), in the order of :meth:`modes`, that features (N, d) of :attr:`extractor` fall into.

        Raises:
            ValueError: where there are no modes.
        """
        raise ValueError(f"{type(self).__name__} has no modes")

    def names(self) -> list[str]:
        """What each row of ``condition.weights`` (or each label) is called."""
        return list(self.class_names)
