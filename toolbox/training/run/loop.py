"""The training loop: mmengine's, but it starts its data stream at the right place and stops when asked to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.runner import BaseLoop

from toolbox import ranks
from toolbox.training.run.resume import start_stream


class GameLoop(BaseLoop):
    """Iterations of a game until ``max_iters``.

    mmengine's own loop replays the loader from its first batch on resume, decoding every image again; here
    the sampler is told where to start. Ctrl-C (or SIGTERM) finishes the iteration, lets the hooks save, and
    stops; a second one stops at once.

    Args:
        runner, dataloader: mmengine's.
        max_iters: iterations in all.
    """

    def __init__(self, runner: Any, dataloader: Any, max_iters: int) -> None:
        super().__init__(runner, dataloader)
        self._max_iters = int(max_iters)
        self._iter = 0
        self._epoch = 0
        self.stop_training = False
        self.stopped_by: str | None = None

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
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        with self._stop_on_signals():
            batches = self._stream()
            self.runner.model.train()
            while self._iter < self._max_iters and not self.stop_training:
                self._iterate(next(batches))
                self._agree_to_stop(game)
        self._agree_whether_stopped()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def _iterate(self, batch: Any) -> None:
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=batch)
        outputs = self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
        self.runner.call_hook("after_train_iter", batch_idx=self._iter, data_batch=batch, outputs=outputs)
        self._iter += 1

    def _agree_to_stop(self, game: Any) -> None:
        """A signal to any process stops all after the same iteration: it travels with the gradients."""
        if game.gradients.stopping:
            self.stop_training = True
            self.stopped_by = self.stopped_by or "a signal to another process"
        game.gradients.asked = self.stopped_by is not None

    def _agree_whether_stopped(self) -> None:
        """A signal to one process during the last iteration finds no gradients left to travel with."""
        if any(ranks.gather_objects(self.stopped_by)):
            self.stopped_by = self.stopped_by or "a signal to another process"

    def _stream(self) -> Iterator[Any]:
        start_stream(self.dataloader, self._iter)
        while True:
            yield from self.dataloader

    @contextmanager
    def _stop_on_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        stopping = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._on_signal) for number in stopping}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.stopped_by:
            raise KeyboardInterrupt
        self.stopped_by = signal.Signals(number).name
        self.stop_training = not ranks.running()  # several processes stop when all know
