"""Ctrl-C and SIGTERM in a run: the iteration at work is finished and saved, anything else ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A run was asked to stop, and has; what it had is saved.

    Args:
        number: of the signal.

    Attributes:
        exit_code: 130 for Ctrl-C, 143 for SIGTERM: 128 and the signal, as a shell says it.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class StopRequest:
    """What a signal asked of this process.

    The first signal raises :class:`Stopped`, but is only noted where work is finished first (``postponed``);
    a second one always raises. Python drops what is raised inside a ``__del__``, and some libraries turn it
    into errors of their own: ``check()`` raises again what was dropped.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._postponed = False
        self._raised = False
        self._process = os.getpid()

    @property
    def name(self) -> str | None:
        """Of the signal that came; None = none did."""
        return None if self._number is None else signal.Signals(self._number).name

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals of this process for a block, and give them back; only the main thread can.

        Raises:
            Stopped: in place of an error that somebody made of it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in _WATCHED}
        try:
            yield
        except Exception as error:
            if not self._raised:
                raise
            raise self._stopped() from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """A block that ends in its own time; it looks at ``name``."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False

    def check(self) -> None:
        """Raise Stopped where a signal has come."""
        if self._number is not None:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        return Stopped(signal.SIGTERM if self._number is None else self._number)

    def _on_signal(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:
            return _in_a_child(number)
        again = self._number is not None
        self._number = number
        if again or not self._postponed:
            self._raised = True
            raise self._stopped()


def _in_a_child(number: int) -> None:
    """A forked process inherits the handler; Ctrl-C, which a terminal sends it too, is for its parent."""
    if number == signal.SIGINT:
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
