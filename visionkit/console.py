"""What a person reads: printed in colour, kept in ``log.txt`` without."""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from visionkit.files import finite

__all__ = ["Printer", "SteadyConsole", "stdout_console", "number_table", "print_json", "print_next_steps"]


class SteadyConsole(Console):
    """A console that falls silent when nobody reads any more, as behind ``| head``; Rich's own ends the process."""

    def on_broken_pipe(self) -> None:
        """Print no more."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Printer:
    """Prints, and writes the same as plain text into a file once there is one.

    Args:
        to_stderr: Leave standard output to a JSON document.
        console: Replaces the one made here.
        brief: Print what is reported alone, as for one run among many; the file has all.
    """

    def __init__(self, *, to_stderr: bool = False, console: Console | None = None, brief: bool = False) -> None:
        self.brief = brief
        self.console = console or SteadyConsole(file=sys.stderr if to_stderr else sys.stdout, highlight=False)
        self._early = io.StringIO()
        self._file: Path | None = None

    @classmethod
    def silent(cls) -> "Printer":
        """One that nobody hears, for all processes but the first."""
        return cls(console=SteadyConsole(file=io.StringIO(), quiet=True))

    def log_to(self, path: Path) -> None:
        """From now on, and for all that was said before, keep a copy in this file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path
        self._append(self._early.getvalue())

    def print(self, *lines: Any) -> None:
        """Print lines, as they are, or rich renderables."""
        if self.brief:
            self.log(*lines)
        else:
            self.announce(*lines)

    def announce(self, *lines: Any) -> None:
        """Print lines that are wanted of a run among many too."""
        for line in lines:
            _print(self.console, line)
        self.log(*lines)

    def log(self, *lines: Any) -> None:
        """Keep lines in the file without printing them."""
        text = io.StringIO()
        plain = Console(file=text, width=100, color_system=None, highlight=False, force_terminal=False)
        for line in lines:
            _print(plain, line)
        self._append(text.getvalue())

    def _append(self, text: str) -> None:
        if self._file is None:
            self._early.write(text)
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(text)


def _print(console: Console, line: Any) -> None:
    """Brackets and colons in a line belong to somebody's path; they are neither styles nor pictures."""
    if isinstance(line, str):
        console.print(line, soft_wrap=True, markup=False, emoji=False)
    else:
        console.print(line)


_WIDTH_OF_A_PIPE = 140


def stdout_console() -> Console:
    """Standard output for tables: as wide as the terminal, or wide enough for any table where there is none."""
    console = SteadyConsole(highlight=False)
    return console if console.is_terminal else SteadyConsole(highlight=False, width=_WIDTH_OF_A_PIPE)


def number_table(numbers: Mapping[str, float], *, title: str) -> RichTable:
    """The numbers of a run as a table of names and values."""
    table = RichTable(title=Text(title, style="bold"), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in numbers.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else f"{value:,}")
    return table


def print_next_steps(printer: Printer, commands: Sequence[str]) -> None:
    """Print the commands to go on with."""
    printer.print("Go on with:", *(f"  {command}" for command in commands))


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on standard output; a number that is not finite becomes null."""
    json.dump(finite(document), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
