"""The hook that saves checkpoints: what is in them, which are kept, which is the best."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces.described import Described
from toolbox.ranges import check_whole
from toolbox.runs.files import copy_whole, write_text
from toolbox.training import checkpoints as files
from toolbox.training.checkpoints import use_safe_loader
from toolbox.training.game.same_on_ranks import check_same_on_ranks
from toolbox.training.game.state import frozen_fingerprints, saved_state
from toolbox.training.hooks.common import game_of
from toolbox.training.hooks.evaluation import Evaluation, check_metric_name
from toolbox.training.run.resumable import check_resumable, scheduler_states
from toolbox.training.run.resume import fitting_state, restore
from toolbox.weights.errors import reason

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game


@dataclass(frozen=True)
class Best:
    """The best checkpoint so far: plain values, kept in every checkpoint."""

    metric: str
    value: float
    iteration: int


class Checkpoints(Described, Hook):
    """Saves ``iter_N.pth`` and ``last_checkpoint``, whole; checks what is loaded; keeps the last few.

    The files hold tensors and plain values only, so that ``torch.load(weights_only=True)`` reads them, with
    all networks under ``state_dict``. Networks from outside (a frozen CLIP) are in them as a fingerprint,
    which is checked at load. Only the first process writes.

    Args:
        interval: iterations between two checkpoints; one more at the end and on interruption.
        keep: how many of the last to keep, torn files not counted; 0 = all.
        best: name of a metric of ``evaluation.metrics`` ('fid'; 'precision_recall.recall' for one of several
            numbers): the checkpoint of its best measurement by the hook ``Evaluation`` is kept as
            ``best_<metric>_iter_N.pth``.
    """

    priority = "VERY_LOW"

    def __init__(self, interval: int = 1000, keep: int = 2, best: str | None = None) -> None:
        check_whole(1, interval=interval)
        check_whole(0, keep=keep)
        self.interval = interval
        self.keep = keep
        self.best = best
        self._saved: int | None = None
        self._best: Best | None = None
        self._good: set[Path] = set()  # known to be whole

    def check_config(self, config: Config) -> None:
        """Refuse ``best`` where nothing would measure it.

        Raises:
            ConfigError: no such metric, or no hook Evaluation.
        """
        if self.best is not None:
            check_metric_name(self.best, config, "hooks.checkpoints.best")

    def before_run(self, runner: Any) -> None:
        """From here on every checkpoint of this process is read by our safe reader."""
        use_safe_loader()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save every ``interval`` iterations, and where the best measurement was made."""
        iteration = batch_idx + 1
        due = iteration % self.interval == 0
        improved = self._note_best(runner, iteration)
        if due or improved:
            self.save(runner, iteration, due, improved)

    def after_train(self, runner: Any) -> None:
        """Save at the end, or where the run was interrupted."""
        if self._saved != runner.iter:
            self.save(runner, runner.iter)

    def save(self, runner: Any, iteration: int, due: bool = True, improved: bool = False) -> None:
        """Write this iteration's checkpoint under its names, and drop what is not kept.

        Args:
            runner: mmengine's.
            iteration: the one that has just ended.
            due: save it as ``iter_N.pth``, and point ``last_checkpoint`` at it.
            improved: save it as the best one.
        """
        contents = self.contents(runner, iteration)
        folder = Path(runner.work_dir)
        # the best one first: a checkpoint that speaks of it must find it
        paths = [folder / f"best_{self.best}_iter_{iteration}.pth"] if improved else []
        if due:
            paths.append(folder / f"iter_{iteration}.pth")
        ranks.on_main(lambda: self._write(contents, paths, due))
        if due:
            self._saved = iteration

    def contents(self, runner: Any, iteration: int) -> dict[str, Any]:
        """What a checkpoint holds (collective)."""
        game = game_of(runner)
        check_same_on_ranks(game)
        contents = dict(
            meta=dict(
                iter=iteration,
                epoch=0,
                seed=game.seed,
                cfg=runner.cfg.pretty_text,
                experiment_name=runner.experiment_name,
                time=time.strftime("%Y-%m-%d %H:%M:%S"),
                mmengine_version="",
            ),
            state_dict=saved_state(game),
            frozen=frozen_fingerprints(game),
            optimizer=runner.optim_wrapper.state_dict(),
            message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={}),
            logs=game.log_state(),
            best=asdict(self._best) if self._best else None,
        )
        if runner.param_schedulers:
            contents["param_schedulers"] = scheduler_states(runner.param_schedulers)
        return dict(_to_cpu(contents))

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Refuse what does not fit before mmengine half-loads it with a log message."""
        game = game_of(runner)
        fitting_state(game, checkpoint)
        if runner._resume:
            check_resumable(runner, checkpoint)
        checkpoint["state_dict"] = restore(game, checkpoint)  # mmengine loads it once more, to no effect
        if runner._resume:
            self._go_on(game, checkpoint)

    def _go_on(self, game: Game, checkpoint: Mapping[str, Any]) -> None:
        try:
            if checkpoint.get("logs") is not None:
                game.load_log_state(checkpoint["logs"])
            best = checkpoint.get("best")
            self._best = Best(**best) if best and best["metric"] == self.best else None
            if self._best is not None:
                self._is_better(math.inf, True)  # that it is a number
        except Exception as error:  # a field can hold anything
            raise files.CheckpointError(
                f"the checkpoint cannot be resumed from, its field logs or best is damaged ({reason(error)})"
            ) from error

    def _note_best(self, runner: Any, iteration: int) -> bool:
        """Whether the measurement just made is the best so far, which is then remembered; NaN never is."""
        evaluation = next((hook for hook in runner.hooks if isinstance(hook, Evaluation)), None)
        if self.best is None or evaluation is None or evaluation.measured_at != iteration:
            return False
        if self.best not in evaluation.scores:
            hint = near_miss(self.best, evaluation.scores)
            raise ConfigError(
                f"hooks.checkpoints.best={self.best!r} is not a single number{hint}; "
                f"measured: {', '.join(evaluation.scores)}"
            )
        value, higher = evaluation.scores[self.best]
        if not self._is_better(value, higher):
            return False
        self._best = Best(self.best, value, iteration)
        return True

    def _is_better(self, value: float, higher: bool) -> bool:
        if math.isnan(value):
            return False
        if self._best is None:
            return True
        return value > self._best.value if higher else value < self._best.value

    def _write(self, contents: Mapping[str, Any], paths: list[Path], due: bool) -> None:
        files.write_checkpoint(contents, paths[0])
        for other in paths[1:]:
            copy_whole(paths[0], other)
        if due:
            self._good.add(paths[-1])
            write_text(paths[-1].name, paths[-1].with_name("last_checkpoint"))
            self._drop_old(paths[-1].parent)

    def _drop_old(self, folder: Path) -> None:
        """All but the ``keep`` newest good ones and the best; after the save that knows of a better one."""
        good = 0
        for path in reversed(files.checkpoint_files(folder) if self.keep else []):
            if good == self.keep:
                path.unlink()
            elif path in self._good or files.fault_of(path) is None:
                self._good.add(path)
                good += 1
        if self._best is None:
            return
        for path in files.checkpoint_files(folder, f"best_{self.best}_iter"):
            if files.iteration_of(path) != self._best.iteration:
                path.unlink()


def _to_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_cpu(item) for item in value]
    return value
