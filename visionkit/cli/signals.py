"""Ctrl-C and SIGTERM from the first line of the command on: one line, and the exit code that a shell expects."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

from visionkit.errors import ExitCode, Terminated

__all__ = ["handle_signals", "report_signal"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """A context in which SIGINT raises KeyboardInterrupt and SIGTERM `Terminated`, in the process that entered it.

    A signal that its parent lets it ignore stays ignored. Nothing changes outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def handle(number: int, frame: types.FrameType | None) -> None:
        if os.getpid() != owner:  # a forked process ends as it would without this handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        _received.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    _received.clear()
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    for number in _SIGNALS:
        if previous[number] in defaults:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number in _SIGNALS:
            if previous[number] in defaults:
                signal.signal(number, previous[number])


def report_signal(error: BaseException) -> int | None:
    """Say in one line that a signal ended the command.

    Args:
        error: What ended it; after a signal any error counts, since libraries make others of a handler's.

    Returns:
        The exit code; None if it was no signal.
    """
    if not isinstance(error, KeyboardInterrupt) and not _received:
        return None
    is_terminated = isinstance(error, Terminated) or (bool(_received) and _received[0] == signal.SIGTERM)
    print(f"visionkit: {'terminated' if is_terminated else 'interrupted'}", file=sys.stderr)
    return ExitCode.TERMINATED if is_terminated else ExitCode.INTERRUPTED
