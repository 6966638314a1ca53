"""Testing a segmenter: after training, and while it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.data.base import checked_mask
from toolbox.interfaces import Segmenter
from toolbox.metrics.evaluate import real_batches
from toolbox.metrics.segmentation import SegmentationScores
from toolbox.registry import build
from toolbox.training.evaluation.records import ORIGIN, append_records, of_training
from toolbox.training.hooks.common import game_of
from toolbox.training.hooks.evaluation import undisturbed
from toolbox.training.run.resume import drop_after

MEASURES = ("miou", "miou-pooled", "pixel-accuracy")


def measure_segmenter(
    segmenter: Segmenter, data: Any, batch_size: int = 100, device: str | torch.device = "cpu"
) -> dict[str, Any]:
    """Scores (see :meth:`SegmentationScores.compute`) on a data set with masks; collective: each rank looks
    at its share.

    Args:
        segmenter: in eval mode.
        data: an ImageSet with masks of the segmenter's parts.

    Raises:
        DataError: when it has no masks, or masks that do not fit.
        ValueError: when its parts are not the segmenter's.
    """
    check_parts(segmenter, data)
    scores = SegmentationScores(len(segmenter.part_names))
    for sample in real_batches(data, batch_size, device):
        assert sample.index is not None
        truth = torch.stack([torch.from_numpy(checked_mask(data, int(i))) for i in sample.index])
        scores.update(truth, segmenter.labels(sample.images))
    whole = SegmentationScores(scores.parts)
    whole.merge(
        {name: ranks.sum_over_ranks(value.to(device)).cpu() for name, value in scores.state().items()}
    )
    return whole.compute()


def check_parts(segmenter: Segmenter, data: Any) -> None:
    """Refuse data whose masks do not name the segmenter's parts.

    Raises:
        DataError: when it has no masks, or masks that do not fit.
        ValueError: when its parts are not the segmenter's.
    """
    checked_mask(data, 0)
    if list(data.part_names) != list(segmenter.part_names):
        raise ValueError(
            f"{data.title} has the parts {', '.join(data.part_names)}; the segmenter knows "
            f"{', '.join(segmenter.part_names)}"
        )


class SegmentationTest(Hook):
    """Pixel accuracy and mean IoU of a game's segmenter (its averaged copy, where there is one) on images
    with masks.

    Lines go to ``metrics.jsonl``. A run is the same with and without it; in several processes all take part.

    Args:
        data: config of a data set with masks.
        network: the segmenter's name in the game.
        interval: iterations between two tests; the last iteration is tested anyway.
        batch_size: images at a time.
    """

    priority = "LOW"

    def __init__(
        self, data: Any, network: str = "segmenter", interval: int = 1000, batch_size: int = 100
    ) -> None:
        if int(interval) < 1 or int(batch_size) < 1:
            raise ValueError(f"interval={interval!r}, batch_size={batch_size!r}: both are at least 1")
        self.data, self.network, self.interval, self.batch_size = (
            data,
            network,
            int(interval),
            int(batch_size),
        )
        self._built: Any = None

    def check_config(self, config: Any) -> None:
        """Refuse a game without the network, before anything is trained.

        Raises:
            ConfigError: naming the networks.
        """
        networks = (config.get("model") or {}).get("networks") or {}
        if networks.get(self.network) is None:
            raise ConfigError(
                f"hooks: SegmentationTest tests the network {self.network!r}, the game has "
                f"{', '.join(networks)}"
            )

    def before_train(self, runner: Any) -> None:
        """Data and segmenter fit, which costs no training; on resume, drop what was measured after the
        checkpoint.
        """
        check_parts(self._segmenter(game_of(runner)), self._test_data())
        drop_after(runner.iter, Path(runner.work_dir) / "metrics.jsonl", of_training)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Test every ``interval`` iterations, and after the last."""
        if (batch_idx + 1) % self.interval == 0 or batch_idx + 1 == runner.max_iters:
            self.test(game_of(runner), batch_idx + 1, Path(runner.work_dir))

    def test(self, game: Any, iteration: int, folder: Path) -> None:
        """Test now, keep and say the results."""
        from toolbox.runs.terminal import say

        segmenter, data = self._segmenter(game), self._test_data()
        with undisturbed(game):
            found = measure_segmenter(segmenter.eval(), data, self.batch_size, game.device)
        facts = f"[{data.title.replace(',', '')} {getattr(data, 'split', 'test')},{len(data)}]"
        records = [
            dict(
                metric=f"segmentation-{name}{facts}",
                value=found[name],
                values={"": found[name]},
                higher_is_better=True,
                iteration=iteration,
            )
            for name in MEASURES
        ]
        append_records(folder / "metrics.jsonl", records, during=ORIGIN)
        say(f"iteration {iteration}: {', '.join(f'{name} {found[name]:.4f}' for name in MEASURES)}")

    def _segmenter(self, game: Any) -> Segmenter:
        network = game.network(self.network, averaged=True)
        if not isinstance(network, Segmenter):
            raise ConfigError(
                f"hooks: SegmentationTest: {self.network!r} is a {type(network).__name__}, which is no "
                "Segmenter"
            )
        return network

    def _test_data(self) -> Any:
        self._built = (
            build(self.data, "dataset", "SegmentationTest.data") if self._built is None else self._built
        )
        return self._built
