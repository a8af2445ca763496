"""The picture of a sweep: the validation metric of all runs over their epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.summary import shorten
from visionkit.tasks.info import TaskInfo

__all__ = ["draw_sweep", "run_names"]


def draw_sweep(folder: SweepFolder, info: TaskInfo) -> None:
    """Write ``curves.png`` beside the table of a sweep: what its runs have in their ``metrics.csv``, if any has."""
    from visionkit.report.plots.sweep_curves import SweepCurve, plot_sweep

    numbers = sorted(folder.rows)
    names = run_names([folder.rows[number].overrides for number in numbers])
    curves = []
    for number, name in zip(numbers, names, strict=True):
        try:
            history = RunFolder(Path(folder.run_dir(number))).read_history()
        except UserError:  # a damaged table of one run is told where that run is used
            continue
        points = [(row["epoch"], row[info.monitor]) for row in history if info.monitor in row]
        curves.append(SweepCurve(f"{number}: {name}" if name else str(number), points))
    plot_sweep(curves, folder.path / "curves.png", monitor=info.monitor, mode=info.mode)


def run_names(overrides: Sequence[Mapping[str, str]]) -> list[str]:
    """What tells each run of a sweep from the others: the keys whose values differ, without the words they share.

    Args:
        overrides: The swept keys and values of each run.
    """
    keys = list(dict.fromkeys(key for values in overrides for key in values))
    varied = [key for key in keys if len({values.get(key) for values in overrides}) > 1]
    last_words = [key.rpartition(".")[2] for key in varied]
    short = {key: word if last_words.count(word) == 1 else key for key, word in zip(varied, last_words, strict=True)}
    return [" ".join(f"{short[key]}={shorten(values[key])}" for key in varied if key in values) for values in overrides]
