"""How far a check is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from visionkit.console import Printer

__all__ = ["CheckProgress"]

_SECONDS_BETWEEN_LINES = 10.0


class CheckProgress:
    """Shows the steps of a check within a context.

    Args:
        printer: The output.
    """

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self._bar: Progress | None = None
        self._title, self._done = "", 0
        self._total: int | None = None
        self._next_line = time.perf_counter() + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> CheckProgress:
        if self.printer.console.is_terminal and not self.printer.is_silent:
            columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()]
            self._bar = Progress(*columns, console=self.printer.console, transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, title: str, *, total: int | None = None) -> None:
        """Begin a step.

        Args:
            title: What is done.
            total: Of how many; None if it is not known.
        """
        self._title, self._total, self._done = title, total, 0
        if self._bar is not None:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(title, total=total)

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)
        elif time.perf_counter() >= self._next_line:
            of_all = "" if self._total is None else f" of {self._total:,}"
            self.printer.print(f"{self._title}: {self._done:,}{of_all}")
            self._next_line = time.perf_counter() + _SECONDS_BETWEEN_LINES
