"""Ctrl-C and SIGTERM from the first line of the command on: one line, and the exit code that a shell expects."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

from visionkit.cli.temporary import remove_temporary_folder
from visionkit.errors import SLURM_SIGNAL, ExitCode, Terminated

__all__ = ["begin_work", "handle_signals", "handle_signals_at_exit", "report_signal"]

_TERMINATING = (signal.SIGTERM, *([] if SLURM_SIGNAL is None else [SLURM_SIGNAL]))
_SIGNALS = (signal.SIGINT, *_TERMINATING)
_SECONDS_TO_LEAVE = 0.02
"""After which a signal is sent again: by then the destructor has returned."""
_received: list[int] = []
_until_exit = False
_ends_at_once = False
"""Whether a signal ends the process instead of being raised: before the work begins, and after it is done."""


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """A context in which SIGINT raises KeyboardInterrupt, SIGTERM and SIGUSR1 `Terminated`, in its process alone.

    A signal that its parent lets it ignore stays ignored. One that comes while an object is destroyed, where Python
    reports an exception and goes on, is sent again. Nothing changes outside the main thread.
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
        if _ends_at_once:
            if len(_received) == 1:
                report_signal(KeyboardInterrupt())
            remove_temporary_folder()  # os._exit calls no functions of `atexit`
            os._exit(ExitCode.of_signal(_received[0]))
        raise Terminated if number in _TERMINATING else KeyboardInterrupt

    def send_again(unraisable: sys.UnraisableHookArgs) -> None:
        if not (_received and isinstance(unraisable.exc_value, KeyboardInterrupt)):
            previous_hook(unraisable)
            return
        timer = threading.Timer(_SECONDS_TO_LEAVE, os.kill, (owner, _received[0]))
        timer.daemon = True
        timer.start()

    global _ends_at_once
    _received.clear()
    _ends_at_once = True
    previous_hook, sys.unraisablehook = sys.unraisablehook, send_again
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    for number in _SIGNALS:
        if previous[number] in defaults:
            signal.signal(number, handle)
    try:
        yield
    finally:
        _ends_at_once = _until_exit
        sys.unraisablehook = previous_hook
        for number in _SIGNALS if not _until_exit else ():
            if previous[number] in defaults:
                signal.signal(number, previous[number])


def handle_signals_at_exit() -> None:
    """Let the handlers stay until this process exits; while Python clears itself away, signals are ignored.

    It is called once the functions of `atexit` that come last are registered.
    """
    global _until_exit
    _until_exit = True
    atexit.register(_ignore_signals)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def begin_work() -> None:
    """From here on a signal raises. Before, nothing is written, and a signal ends the process at once.

    An exception within an import of compiled code would be a panic of its own with a traceback.
    """
    global _ends_at_once
    import pydantic  # noqa: F401 - its core is such code

    _ends_at_once = False


def report_signal(error: BaseException) -> int | None:
    """Say in one line that a signal ended the command.

    Args:
        error: What ended it; after a signal any error counts, since libraries make others of a handler's.

    Returns:
        The exit code; None if it was no signal.
    """
    if not isinstance(error, KeyboardInterrupt) and not _received:
        return None
    eval("0")  # else Python, if the signal came in code given as text, would end itself by SIGINT after all
    is_terminated = isinstance(error, Terminated) or (bool(_received) and _received[0] in _TERMINATING)
    print(f"visionkit: {'terminated' if is_terminated else 'interrupted'}", file=sys.stderr)
    return ExitCode.TERMINATED if is_terminated else ExitCode.INTERRUPTED
