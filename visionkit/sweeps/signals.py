"""Ctrl-C and SIGTERM while a sweep lasts: they end the run under way, and wait while its row is written."""

from __future__ import annotations

import signal
import threading
import types
from collections.abc import Callable
from typing import Any

__all__ = ["Signals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Listens while it is entered as a context; nothing happens outside the main thread, which alone gets signals.

    Attributes:
        count: How many have come.
    """

    def __init__(self) -> None:
        self.count = 0
        self._open = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def interruptible(self, work: Callable[[], None]) -> None:
        """Do what a signal ends by `KeyboardInterrupt`, which goes no further; after a signal, nothing is begun.

        Args:
            work: Leaves its result where what is done of it outlives an interruption.
        """
        try:
            self._open = True
            if not self.count:
                work()
            self._open = False
        except KeyboardInterrupt:
            self._open = False

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        self.count += 1
        if self._open:
            raise KeyboardInterrupt
