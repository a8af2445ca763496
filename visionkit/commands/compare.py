"""The verb ``compare``: several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from visionkit.console import print_json, stdout_console
from visionkit.errors import ExitCode, UserError
from visionkit.files import new_picture_file
from visionkit.report.comparison import comparison_document, comparison_grids, run_labels
from visionkit.report.tables import print_grid
from visionkit.runs.comparison import ComparedRun, compare_metrics, config_differences, open_runs, read_runs
from visionkit.runs.tested_images import explain_other_images
from visionkit.tasks.info import TASKS

__all__ = ["compare"]


def compare(options: Mapping[str, str]) -> int:
    """Print runs of one task side by side, and draw their curves.

    Args:
        options: ``run``, ``out`` and ``format``, where given.

    Raises:
        UserError: If the runs do not exist, do not compare or are damaged, or the picture cannot be written.
    """
    if "run" not in options:
        raise UserError(
            "compare needs runs: run=A,B, or one folder with several runs in it. Which there are: python -m visionkit "
            "runs"
        )
    out = new_picture_file(options["out"], example="curves.png") if "out" in options else None
    runs = read_runs(open_runs(options["run"]))
    differences, settings = compare_metrics(runs), config_differences(runs)
    other_images = explain_other_images(runs)
    drawn = out is not None and _draw(out, run_labels(runs, settings), runs)
    document = comparison_document(runs, differences, settings, other_images, curves=str(out) if drawn else None)
    if out is not None and not drawn:
        document["notes"].append(f"no run has finished an epoch, and '{out}' is not drawn")
    if options.get("format") == "json":
        print_json(document)
        return ExitCode.DONE
    for grid in comparison_grids(runs, differences, settings):
        print_grid(grid, "text")
    console = stdout_console()
    for note in document["notes"]:
        console.print(note, soft_wrap=True)
    console.print(f"Curves: {out}" if drawn else "Curves in one picture: add out=curves.png", soft_wrap=True)
    return ExitCode.DONE


def _draw(out: Path, labels: Sequence[str], runs: Sequence[ComparedRun]) -> bool:
    from visionkit.report.plots.compared_curves import plot_compared_curves

    histories = [(label, run.history) for label, run in zip(labels, runs, strict=True)]
    monitor = TASKS[runs[0].task].monitor if runs[0].task in TASKS else "val/loss"
    return plot_compared_curves(histories, out, monitor=monitor)
