"""The contract of a metric: declared sufficient statistics that add up across processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from toolbox.interfaces.described import Described
from toolbox.interfaces.extractor import FeatureExtractor
from toolbox.interfaces.sample import Sample


class Metric(Described, ABC):
    """Feed it real and generated Samples in any order and in any batches; ask for the value once.

    ``update_real`` / ``update_fake`` / ``update_pairs`` may be called on every process with its own share;
    ``state`` returns named tensors, ``merge`` folds another process's state in, so that two processes give
    the value of one.

    Attributes:
        needs: what must be fed: any of 'real', 'fake', 'labels', 'captions', 'pairs', 'weights', 'modes'. A
            metric that needs 'modes' is fed images of one mode (a cluster) each, taking turns, and its
            constructor may ask for the conditioner's ``extractor`` and ``assign``. One that needs 'captions'
            gets them as ``condition.text``, a list of N texts, and may ask for the conditioner's
            ``of_texts``. One that needs 'pairs' is fed by ``update_pairs`` in place of ``update_fake``.
        higher_is_better: direction.
        unit: '' when the number has none.
        extractor: network on whose features of each image it works; made once for all metrics that share it,
            they lie in the samples' extras (:func:`toolbox.metrics.base.features_of`). None: no such network.
        own_networks: whether ``uses=`` may lend it networks of the game that it judges.
        from_outside: where it may not, what to give in their place, in words.
    """

    needs: tuple[str, ...] = ("real", "fake")
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    extractor: FeatureExtractor | None = None
    own_networks: ClassVar[bool] = True
    from_outside: ClassVar[str] = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name with protocol, such as ``fid[toy-clip,2k]``: numbers of different names do not compare."""

    def update_real(self, sample: Sample) -> None:
        """Take in real images."""

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images. Every metric has it, but for those that need 'pairs'."""
        raise NotImplementedError(f"{type(self).__name__} has no update_fake, and does not need 'pairs'")

    def update_pairs(self, source: Sample, fake: Sample) -> None:
        """Take in generated images (N, 3, H, W), and what a source made of the same: row i belongs to row i.

        The source is another generator (``evaluation.source``), asked for the same latents and conditions,
        with the noise of its weights; or, for a translation, the images that were translated. Both are in
        [-1, 1], of one number and size; ``fake.index`` numbers the pairs.
        """
        raise NotImplementedError(f"{type(self).__name__} needs 'pairs' and has no update_pairs")

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """{'' : value, 'std': spread, ...}: '' is the metric itself, other keys are appended to its name.

        A metric of several equal numbers (precision and recall) has no empty key.

        Raises:
            ValueError: when too few images were fed, naming how many are needed.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The sufficient statistics, as named tensors."""

    @abstractmethod
    def merge(self, state: dict[str, Any]) -> None:
        """Fold in the statistics of another process (or shard)."""

    @abstractmethod
    def reset(self) -> None:
        """Forget the fakes (and what was not cached of the reals)."""

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result beside its numbers (JSON values)."""
        return {}

    def shortage(self, n_real: int, per_class: Any, n_fake: int) -> str:
        """Why so few images do not give it, or give it by another protocol; '' = they are enough.

        Args:
            n_real: real images.
            per_class: (classes,) those of each class.
            n_fake: generated images.
        """
        return ""

    def judges(self) -> list[Any]:
        """Networks by whose eyes it judges, where they must not be the game's own: a remark names those."""
        return []
