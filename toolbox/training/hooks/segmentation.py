"""Testing a segmenter: after training, and while it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.data.base import checked_mask
from toolbox.interfaces import Segmenter
from toolbox.interfaces.described import Described
from toolbox.metrics.evaluate import real_batches
from toolbox.metrics.segmentation import SegmentationScores, check_ignore
from toolbox.ranges import check_whole
from toolbox.registry import build
from toolbox.training.evaluation.records import ORIGIN, append_records, of_training
from toolbox.training.hooks.common import game_of
from toolbox.training.hooks.evaluation import undisturbed
from toolbox.training.run.resume import drop_after

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game

MEASURES = ("miou-klish", "miou-per-image", "miou-pooled", "pixel-accuracy")


def measure_segmenter(
    segmenter: Segmenter,
    data: Any,
    batch_size: int = 100,
    device: str | torch.device = "cpu",
    ignore: int | None = None,
) -> dict[str, Any]:
    """Scores (see :meth:`SegmentationScores.compute`) on a data set with masks.

    Collective: each rank looks at its share.

    Args:
        segmenter: in eval mode.
        data: an ImageSet with masks of the segmenter's parts.
        ignore: number in the masks of pixels that are not counted.

    Raises:
        DataError: when it has no masks, or masks that do not fit.
        ValueError: when its parts are not the segmenter's, or ``ignore`` is one of them.
    """
    check_parts(segmenter, data, ignore)
    scores = SegmentationScores(len(segmenter.part_names), ignore)
    for sample in real_batches(data, batch_size, device):
        assert sample.index is not None
        truth = torch.stack([torch.from_numpy(checked_mask(data, int(i), ignore)) for i in sample.index])
        scores.update(truth, segmenter.labels(sample.images))
    sums = {name: ranks.sum_over_ranks(value.to(device)).cpu() for name, value in scores.state().items()}
    whole = SegmentationScores(scores.parts)
    whole.merge(sums)
    return whole.compute()


def check_parts(segmenter: Segmenter, data: Any, ignore: int | None = None) -> None:
    """Refuse data whose masks do not name the segmenter's parts; ``ignore`` is none of them.

    Raises:
        DataError: when it has no masks, or masks that do not fit.
        ValueError: when its parts are not the segmenter's, or ``ignore`` is one of them.
    """
    check_ignore(ignore, len(segmenter.part_names))
    checked_mask(data, 0, ignore)
    if list(data.part_names) != list(segmenter.part_names):
        raise ValueError(
            f"{data.title} has the parts {', '.join(data.part_names)}; the segmenter knows "
            f"{', '.join(segmenter.part_names)}"
        )


class SegmentationTest(Described, Hook):
    """Pixel accuracy and mean IoU, on images with masks, of a game's segmenter or of its averaged copy.

    Lines go to ``metrics.jsonl``; :mod:`toolbox.metrics.segmentation` says what each mean IoU counts.
    A run is the same with and without it; in several processes all take part.

    Args:
        data: config of a data set with masks.
        network: the segmenter's name in the game.
        interval: iterations between two tests; the last iteration is tested anyway.
        batch_size: images at a time.
        ignore: number in the masks of pixels that are not counted, such as 255; None = there is none.
    """

    priority = "LOW"

    def __init__(
        self,
        data: Any,
        network: str = "segmenter",
        interval: int = 1000,
        batch_size: int = 100,
        ignore: int | None = None,
    ) -> None:
        check_whole(1, interval=interval, batch_size=batch_size)
        self.data = data
        self.network = network
        self.interval = interval
        self.batch_size = batch_size
        self.ignore = ignore
        self._built: Any = None

    def check_config(self, config: Config) -> None:
        """Refuse a game without the network, before anything is trained.

        Raises:
            ConfigError: naming the networks.
        """
        networks = (config.get("model") or {}).get("networks") or {}
        if networks.get(self.network) is None:
            tested = f"hooks: SegmentationTest tests the network {self.network!r}"
            raise ConfigError(f"{tested}, the game has {', '.join(networks)}")

    def check_game(self, game: Game, config: Config) -> None:
        """Refuse a network that is no segmenter, or data whose masks are not of its parts.

        Raises:
            ConfigError, ValueError, DataError: see :func:`check_parts`.
        """
        check_parts(self._segmenter(game), self._test_data(), self.ignore)

    def before_train(self, runner: Any) -> None:
        """Check that data and segmenter fit; on resume, drop what was measured after the checkpoint."""
        self.check_game(game_of(runner), runner.cfg)
        drop_after(runner.iter, Path(runner.work_dir) / "metrics.jsonl", of_training)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Test every ``interval`` iterations, and after the last."""
        if (batch_idx + 1) % self.interval == 0 or batch_idx + 1 == runner.max_iters:
            self.test(game_of(runner), batch_idx + 1, Path(runner.work_dir))

    def test(self, game: Game, iteration: int, folder: Path) -> None:
        """Test now, keep and say the results."""
        from toolbox.runs.terminal import say

        segmenter, data = self._segmenter(game), self._test_data()
        with undisturbed(game):
            found = measure_segmenter(segmenter.eval(), data, self.batch_size, game.device, self.ignore)
        protocol = f"[{data.title.replace(',', '')} {getattr(data, 'split', 'test')},{len(data)}]"
        records = []
        for name in MEASURES:
            value = found[name]
            metric = f"segmentation-{name}{protocol}"
            records.append(dict(metric=metric, value=value, values={"": value}, higher_is_better=True))
        append_records(folder / "metrics.jsonl", records, iteration=iteration, during=ORIGIN)
        say(f"iteration {iteration}: {', '.join(f'{name} {found[name]:.4f}' for name in MEASURES)}")

    def _segmenter(self, game: Game) -> Segmenter:
        network = game.network(self.network, averaged=True)
        if not isinstance(network, Segmenter):
            kind = type(network).__name__
            raise ConfigError(f"hooks: SegmentationTest: {self.network!r} is a {kind}, which is no Segmenter")
        return network

    def _test_data(self) -> Any:
        if self._built is None:
            self._built = build(self.data, "dataset", "SegmentationTest.data")
        return self._built
