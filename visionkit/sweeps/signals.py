"""Handles Ctrl-C, SIGTERM and SIGUSR1 during a sweep: they interrupt its running run, not the writing of its row."""

from __future__ import annotations

import signal
import threading
import types
from collections.abc import Callable
from typing import Any

from visionkit.errors import SLURM_SIGNAL, ExitCode

__all__ = ["Signals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([] if SLURM_SIGNAL is None else [SLURM_SIGNAL]))


class Signals:
    """A context manager that installs handlers for these signals, if it is entered in the main thread.

    Attributes:
        count: Number of signals received.
        code: The exit code after the first of them.
    """

    def __init__(self) -> None:
        self.count, self.code = 0, int(ExitCode.DONE)
        self._in_work = False
        self._previous_handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def interruptible(self, work: Callable[[], None]) -> None:
        """Call a function that a signal interrupts by `KeyboardInterrupt`, which is caught here; not after a signal.

        Args:
            work: The function; it must store its result itself.
        """
        try:
            self._in_work = True
            if not self.count:
                work()
            self._in_work = False
        except KeyboardInterrupt:
            self._in_work = False

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        self.count, self.code = self.count + 1, self.code or ExitCode.of_signal(number)
        if self._in_work:
            raise KeyboardInterrupt
