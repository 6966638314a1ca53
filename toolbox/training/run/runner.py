"""mmengine's Runner, quiet."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any


def quiet_runner() -> type:
    """mmengine's Runner, with its some 90 lines at start going to the run's ``log.txt`` instead of the
    terminal.
    """
    from mmengine.logging import MMLogger
    from mmengine.runner import Runner

    class QuietRunner(Runner):
        """Errors alone reach the terminal; what is compiled is the game's own affair."""

        def build_logger(self, log_level: Any = "INFO", log_file: Any = None, **arguments: Any) -> MMLogger:
            """mmengine's logger, its terminal side silenced."""
            logger = MMLogger.get_instance(
                name=self._experiment_name,
                log_level=log_level,
                file_mode="a",
                log_file=str(Path(self.work_dir) / "log.txt"),
                **arguments,
            )
            for handler in logger.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.handleError = _stop_here  # type: ignore[method-assign]
                else:
                    handler.setLevel(logging.ERROR)
            return logger

        def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
            """Without the line about its file backend."""
            with contextlib.redirect_stdout(io.StringIO()):
                return super().load_checkpoint(*args, **kwargs)

        def _maybe_compile(self, target: str) -> None:
            """A game compiles its networks itself; mmengine, which reads the same key, would compile the
            whole iteration.
            """

    return QuietRunner


def _stop_here(record: logging.LogRecord) -> None:
    """A log that cannot be written stops the run; logging's own way is a traceback for each line, and to go
    on.
    """
    raise
