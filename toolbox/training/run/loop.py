"""The training loop: mmengine's, but it starts its data stream at the right place and stops when asked to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.runner import BaseLoop

from toolbox import ranks
from toolbox.runs.stopping import StopRequest
from toolbox.training.run.resume import start_stream


class GameLoop(BaseLoop):
    """Iterations of a game until ``max_iters``.

    mmengine's own loop replays the loader from its first batch on resume, decoding every image again; here
    the sampler is told where to start. Ctrl-C (or SIGTERM) finishes the iteration, lets the hooks save, and
    stops; a second one stops at once.

    Args:
        runner, dataloader: mmengine's.
        max_iters: iterations in all.

    Attributes:
        stop_request: what signals ask for; a run of several stages has one for all.
        stopped_by: the signal that ended the loop, or None.
    """

    def __init__(self, runner: Any, dataloader: Any, max_iters: int) -> None:
        super().__init__(runner, dataloader)
        self._max_iters = int(max_iters)
        self._iter = 0
        self._epoch = 0
        self.stop_training = False  # mmengine's EarlyStopping sets it too
        self.stopped_by: str | None = None
        self.stop_request = StopRequest()

    max_epochs = property(lambda self: 1)
    max_iters = property(lambda self: self._max_iters)
    epoch = property(lambda self: self._epoch)
    iter = property(lambda self: self._iter)

    def run(self) -> Any:
        """Train; returns the model."""
        game = getattr(self.runner.model, "module", self.runner.model)
        if self._iter == 0:
            game.prepare(self.dataloader.dataset)
        game.share_start()
        game.prepare_latents()
        with self.stop_request.watched(), self.stop_request.postponed():
            self._play(game)
        return self.runner.model

    def _play(self, game: Any) -> None:
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        batches = self._stream()
        self.runner.model.train()
        while self._iter < self._max_iters and not self.stop_training:
            self._iterate(next(batches))
            self._agree_to_stop(game)
        self._agree_whether_stopped()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")

    def _iterate(self, batch: Any) -> None:
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=batch)
        outputs = self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
        self.runner.call_hook("after_train_iter", batch_idx=self._iter, data_batch=batch, outputs=outputs)
        self._iter += 1

    def _agree_to_stop(self, game: Any) -> None:
        """A signal to any process stops all after the same iteration: it travels with the gradients."""
        own = self.stop_request.name
        if game.gradients.stopping:
            self.stopped_by = own or "a signal to another process"
        elif not ranks.running():
            self.stopped_by = own
        game.gradients.asked = own is not None
        self.stop_training = self.stop_training or self.stopped_by is not None

    def _agree_whether_stopped(self) -> None:
        """A signal to one process during the last iteration finds no gradients left to travel with."""
        own = self.stop_request.name
        if any(ranks.gather_objects(own)):
            self.stopped_by = own or "a signal to another process"

    def _stream(self) -> Iterator[Any]:
        start_stream(self.dataloader, self._iter)
        while True:
            yield from self.dataloader
