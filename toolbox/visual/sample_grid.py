"""A look at the generator while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces.described import Described
from toolbox.ranges import check_in, check_whole
from toolbox.training.game.sampler import Sampler
from toolbox.training.hooks.common import game_of
from toolbox.visual.grids import save_grid
from toolbox.visual.paired import has_source, paired_sheet


class SampleGrid(Described, Hook):
    """Draws a grid of the same latents every so often: ``samples/iter_N.png``, one row a class.

    Rows are what the conditioner can be asked for (:meth:`toolbox.interfaces.Conditioner.requests`), by
    default the classes; of a text-to-image game captions of the training set.

    Args:
        interval: iterations between two grids; one more at the end.
        columns: images a class.
        rows: classes shown at most.
        truncation: in (0, 1]; below 1 images of less variety.
        source: name of another generator of the game; what it makes of the same latents stands above each
            row.
    """

    priority = "LOW"

    def __init__(
        self,
        interval: int = 500,
        columns: int = 10,
        rows: int = 20,
        truncation: float = 1.0,
        source: str | None = None,
    ) -> None:
        check_whole(1, interval=interval, columns=columns, rows=rows)
        check_in("(0, 1]", truncation=truncation)
        self.interval, self.columns, self.rows = interval, columns, rows
        self.truncation = truncation
        self.source = source

    def check_game(self, game: Any, config: Any) -> None:
        """Raise ConfigError for a generator that cannot be truncated, or a source that cannot stand beside
        it.
        """
        if game.generator not in game.networks:
            return
        if self._is_paired(game) and not has_source(game, str(self.source)):
            raise ConfigError(
                f"SampleGrid: source={self.source!r} is no other generator of this game, of images of one "
                f"size{near_miss(str(self.source), game.networks)}; networks: {', '.join(game.networks)}"
            )
        if self.truncation < 1:
            try:
                Sampler(game, truncation=self.truncation)
            except ValueError as error:
                raise ConfigError(f"SampleGrid: {error}") from error

    def _is_paired(self, game: Any) -> bool:
        """Not in an earlier stage, which inherits this hook, whose generator is the source itself."""
        return self.source not in (None, game.generator)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw every ``interval`` iterations."""
        if (batch_idx + 1) % self.interval == 0:
            self.draw(runner, batch_idx + 1)

    def after_train(self, runner: Any) -> None:
        """Draw at the end; not where the run was interrupted and will go on."""
        if runner.iter % self.interval and runner.iter >= runner.max_iters:
            self.draw(runner, runner.iter)

    def draw(self, runner: Any, iteration: int) -> Path | None:
        """Write the grid of this iteration; None where the game has no generator."""
        game = game_of(runner)
        if game.generator not in game.networks:
            return None
        training = game.training
        # puts the generator itself into eval mode where there is no average
        sampler = Sampler(game, seed=game.seed, truncation=self.truncation)
        if self._is_paired(game):
            images, names = paired_sheet(sampler, str(self.source), self.columns, self.rows)
        else:
            images, names = sampler.sheet(self.columns, self.rows)
        path = Path(runner.work_dir) / "samples" / f"iter_{iteration:07d}.png"
        save_grid(images, path, self.columns, names or None)
        game.train(training)
        return path
