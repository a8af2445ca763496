"""Console output: printed in colour, and written as plain text into ``log.txt``."""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from visionkit.metric_names import metric_title
from visionkit.text import json_text, printable

__all__ = [
    "UNLIMITED",
    "Printer",
    "PipeSafeConsole",
    "loading",
    "stdout_console",
    "metrics_table",
    "print_json",
    "print_next_steps",
]


UNLIMITED = 100_000
"""The width of what is printed into a file or a pipe: no line is broken, no cell cut."""


class PipeSafeConsole(Console):
    """A console for text that strangers may have written, in the names of files and classes.

    It stops printing when its pipe is closed, as by ``| head``; Rich's own ends the process. Brackets and colons are
    text, neither markup nor emoji, and characters that steer a terminal are escaped. It is as wide as ``COLUMNS`` says,
    else as the terminal; where there is none, lines have any length, so that no program that reads them misses a part.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})
        if "width" not in options:
            columns = os.environ.get("COLUMNS", "")
            if columns.isdigit() and int(columns):
                self.width = int(columns)
            elif not self.is_terminal:
                self.width = UNLIMITED

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape before the layout of tables, so that their columns fit."""
        return super().render_str(printable(text, keep="\n"), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape whatever else is printed; Rich's own control codes are segments apart."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                segment = Segment(printable(segment.text, keep="\n"), segment.style)
            yield segment

    def on_broken_pipe(self) -> None:
        """Stop printing, and point the file descriptor at the null device."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Printer:
    """Prints to a console and copies everything as plain text into a log file, once `log_to` has named it.

    Args:
        to_stderr: Print to standard error, so that standard output holds a JSON document alone.
        console: Where to print; None makes one.
        brief: Print the lines of `announce` alone, as for one run of a sweep; the file gets all lines.
    """

    def __init__(self, *, to_stderr: bool = False, console: Console | None = None, brief: bool = False) -> None:
        self.brief = brief
        self.console = console or PipeSafeConsole(file=sys.stderr if to_stderr else sys.stdout)
        self._buffer = io.StringIO()
        self._file: Path | None = None

    @classmethod
    def silent(cls) -> "Printer":
        """A printer whose lines go into the file alone."""
        return cls(console=PipeSafeConsole(file=io.StringIO(), quiet=True))

    @property
    def is_silent(self) -> bool:
        """Whether nothing is printed."""
        return self.console.quiet

    def log_to(self, path: Path) -> None:
        """Copy all lines to this file, those printed before included."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path
        self._append(self._buffer.getvalue())

    def print(self, *lines: Any) -> None:
        """Print lines without markup, or rich renderables; with ``brief`` they go into the file alone."""
        if self.brief:
            self.log(*lines)
        else:
            self.announce(*lines)

    def announce(self, *lines: Any) -> None:
        """Print lines even with ``brief``."""
        for line in lines:
            _print(self.console, line)
        self.log(*lines)

    def log(self, *lines: Any) -> None:
        """Write lines into the file without printing them."""
        text = io.StringIO()
        plain = PipeSafeConsole(file=text, width=UNLIMITED, color_system=None, force_terminal=False)
        for line in lines:
            _print(plain, line)
        self._append(text.getvalue())

    def _append(self, text: str) -> None:
        if self._file is None:
            self._buffer.write(text)
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(text)


def _print(console: Console, line: Any) -> None:
    """Print a line as one: a line break in it belongs to a name."""
    if isinstance(line, str):
        console.print(printable(line), soft_wrap=True, markup=False, emoji=False)
    else:
        console.print(line, crop=False)  # the title of a table may be longer than the line


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Say on a terminal that PyTorch is being imported, which takes seconds; the line goes when it is done.

    It is printed on standard error, and nowhere if that is no terminal or PyTorch is there already.
    """
    if "torch" in sys.modules or not sys.stderr.isatty():
        yield
        return
    print("loading PyTorch ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def stdout_console() -> Console:
    """A console on standard output for tables."""
    return PipeSafeConsole()


def metrics_table(metrics: Mapping[str, float], *, title: str) -> RichTable:
    """Metrics as a table of names and values: four decimals for floats, thousands separators for integers.

    ``NAME_low`` and ``NAME_high`` stand beside ``NAME``, as its 95 % interval.
    """
    line = Text(title, style="bold", no_wrap=True, overflow="ignore")  # a path in it is not broken
    table = RichTable(title=line, title_justify="left")
    table.add_column("metric", overflow="fold")
    table.add_column("value", justify="right", overflow="fold")
    ends = {name: (f"{name}_low", f"{name}_high") for name in metrics if {f"{name}_low", f"{name}_high"} <= {*metrics}}
    hidden = {end for pair in ends.values() for end in pair}
    if ends:
        table.add_column("95 % interval", overflow="fold")
    for name, value in metrics.items():
        if name not in hidden:
            cells = [" to ".join(f"{metrics[end]:.4f}" for end in ends.get(name, ()))] if ends else []
            shown = f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
            table.add_row(printable(metric_title(name)), shown, *cells)
    return table


def print_next_steps(printer: Printer, commands: Sequence[str]) -> None:
    """Print commands that the user may want to run next."""
    printer.print("Go on with:", *(f"  {command}" for command in commands))


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on standard output; a number that is not finite becomes null."""
    sys.stdout.write(f"{json_text(document, indent=2)}\n")
