"""How the numbers of a run are shown and kept, after training and by ``evaluate``."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from visionkit.output import finite
from visionkit.training.console import Printer, SteadyConsole

__all__ = ["final_numbers", "number_table", "output", "print_json", "say_next"]

_WIDTH_OF_A_PIPE = 140


def output() -> Console:
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


def final_numbers(
    judged: Mapping[str, float], history: Sequence[Mapping[str, float]], *, best_epoch: int, parameters: int
) -> dict[str, float]:
    """What ``metrics.json`` holds.

    Args:
        judged: The numbers of the split on which the best epoch was judged in the end.
        history: A row per epoch, of which the best gives the validation numbers.
        best_epoch: Counted from 1.
        parameters: How many the model has.
    """
    best_row = next((row for row in history if row["epoch"] == best_epoch), {})
    validated = {name: value for name, value in best_row.items() if name.startswith("val/")}
    return {
        **judged,
        **{name: value for name, value in validated.items() if name not in judged},
        "best_epoch": best_epoch,
        "epochs": len(history),
        "training_seconds": round(sum(row["seconds"] for row in history), 2),
        "parameters": parameters,
    }


def say_next(printer: Printer, commands: Sequence[str]) -> None:
    """Print the commands to go on with."""
    printer.say("Go on with:", *(f"  {command}" for command in commands))


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on standard output; a number that is not finite becomes null."""
    json.dump(finite(document), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
