"""How far a finder is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn

from visionkit.console import Printer

__all__ = ["FinderProgress"]

_SECONDS_BETWEEN_LINES = 10.0


class FinderProgress:
    """Shows the progress of a finder within a context.

    Args:
        printer: The output.
        title: What is done.
        total: Of steps; None if it is not known.
    """

    def __init__(self, printer: Printer, title: str, *, total: int | None = None) -> None:
        self.printer, self.title, self.total = printer, title, total
        self._bar: Progress | None = None
        self._next_line = time.perf_counter() + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> FinderProgress:
        if self.printer.console.is_terminal:
            columns = [TextColumn(self.title), BarColumn(bar_width=24), TextColumn("{task.description}")]
            self._bar = Progress(*columns, console=self.printer.console, transient=True, auto_refresh=False)
            self._bar.start()
            self._bar.add_task("", total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, text: str) -> None:
        """Show a step, counted from 1, and words on it."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, description=text, refresh=True)
        elif time.perf_counter() >= self._next_line:
            self.printer.print(f"{self.title}: {text}")
            self._next_line = time.perf_counter() + _SECONDS_BETWEEN_LINES
