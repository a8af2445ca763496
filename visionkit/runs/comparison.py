"""Several runs side by side: how their settings differ, and whether their metrics do by more than chance."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.files import expand_user
from visionkit.metrics.differences import holm_adjusted, interval_test, proportion_test
from visionkit.runs.consistency import leaves
from visionkit.runs.folder import RunFolder
from visionkit.runs.listing import Headline, find_runs, headline
from visionkit.runs.run import Run

__all__ = [
    "ComparedRun", "Difference", "compare_metrics", "config_differences", "open_runs", "read_runs", "short_names",
]  # fmt: skip

MAX_RUNS = 20
"""That fit side by side."""

SIGNIFICANCE = 0.05
_UNCOMPARED = ("run_dir", "format")
_TOLERANCE = 1e-5  # of accuracies, which are stored as computed in float32


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        name: Its folder, without what all have in common.
        path: Its folder.
        task: The name of the task.
        config: The resolved configuration.
        metrics: The content of ``metrics.json``; empty before the run is finished.
        history: A row per epoch.
        headline: The main metric; None before the run is finished.
        correct: Images classified rightly and all images of the test, where the headline is their quotient; else None.
    """

    name: str
    path: Path
    task: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    headline: Headline | None
    correct: tuple[int, int] | None


@dataclass(frozen=True)
class Difference:
    """The main metric of a run minus that of the first.

    Attributes:
        run: The name of the run.
        reference: The name of the first.
        metric: Such as ``test/accuracy``.
        difference: Positive where ``run`` has more.
        p_value: Of no difference, adjusted for the number of runs; None where it cannot be known.
        test: ``two proportions`` or ``intervals``.
        more_than_chance: Whether the p-value is below 0.05; None without one.
    """

    run: str
    reference: str
    metric: str
    difference: float
    p_value: float | None
    test: str
    more_than_chance: bool | None


def open_runs(text: str, *, verb: str = "compare", fewest: int = 2) -> list[Path]:
    """The folders that ``run=`` names.

    Args:
        text: Folders of runs, ``latest``, or folders with runs in them, with commas between.
        verb: Whose option it is.
        fewest: How many there must be.

    Raises:
        UserError: If one is none of these, a run is named twice, or there are too few or very many.
    """
    whole = text.strip().removeprefix("[").removesuffix("]")
    parts = [whole] if expand_user(whole).is_dir() else [part.strip(" '\"") for part in whole.split(",")]
    paths: list[Path] = []
    for part in filter(None, parts):
        folder = expand_user(part)
        inner = [] if (folder / "config.yaml").exists() else sorted(find_runs(folder), key=_natural)
        paths += inner or [RunFolder.open(part).path]
    real = [path.resolve() for path in paths]
    twice = next((path for path, place in zip(paths, real, strict=True) if real.count(place) > 1), None)
    if twice is not None:
        raise UserError(f"run: '{twice}' is named twice. Expected different runs: run=A,B")
    if len(paths) < fewest:
        raise UserError(
            f"{verb}: found {len(paths)} run in run={text}, expected {'one' if fewest == 1 else 'two'} or more: "
            "run=A,B, or one folder with several runs in it. Which there are: python -m visionkit runs"
        )
    if len(paths) > MAX_RUNS:
        raise UserError(
            f"{verb}: found {len(paths):,} runs in run={text}, expected at most {MAX_RUNS}, which fit side by side. "
            f"Name some of them: run={paths[0]},{paths[1]}"
        )
    return paths


def read_runs(paths: Sequence[Path]) -> list[ComparedRun]:
    """Read runs of one task.

    Raises:
        UserError: If a file is damaged, or the tasks differ.
    """
    runs = [_read(path, name) for path, name in zip(paths, short_names(paths), strict=True)]
    other = next((run for run in runs if run.task != runs[0].task), None)
    if other is not None:
        raise UserError(
            f"compare: '{runs[0].path}' has task {runs[0].task}, and '{other.path}' has task {other.task}. Numbers of "
            "different tasks do not compare. Expected runs of one task; to see which are: python -m visionkit runs "
            f"task={runs[0].task}"
        )
    return runs


def compare_metrics(runs: Sequence[ComparedRun]) -> list[Difference]:
    """The main metric of each finished run against that of the first finished one.

    Where all images are counted as right or wrong, fractions are tested, else the intervals; both as of images drawn
    apart for each run. The p-values of several comparisons are adjusted together.
    """
    finished = [run for run in runs if run.headline is not None]
    pairs = [(run, finished[0]) for run in finished[1:] if _metric(run) == _metric(finished[0])]
    tests = [_test(run, reference) for run, reference in pairs]
    known = iter(holm_adjusted([value for value, _ in tests if value is not None]))
    p_values = [None if value is None else next(known) for value, _ in tests]
    return [
        Difference(
            run.name, reference.name, _metric(run), _value(run) - _value(reference), p_value, test,
            None if p_value is None else p_value < SIGNIFICANCE,
        )
        for (run, reference), p_value, (_, test) in zip(pairs, p_values, tests, strict=True)
    ]  # fmt: skip


def config_differences(runs: Sequence[ComparedRun]) -> dict[str, dict[str, Any]]:
    """Dotted keys whose values differ, with the value of each run that has the key, by the names of the runs."""
    flat = {run.name: dict(leaves({k: v for k, v in run.config.items() if k not in _UNCOMPARED})) for run in runs}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    found = {key: {name: values[key] for name, values in flat.items() if key in values} for key in keys}
    return {key: values for key, values in found.items() if _differ(values, len(runs))}


def _read(path: Path, name: str) -> ComparedRun:
    run = Run(path)
    config = run.config
    task = config["task"].get("name") if isinstance(config.get("task"), dict) else None
    if not isinstance(task, str):
        raise UserError(f"run: '{path / 'config.yaml'}' names no task. Expected the file that the run wrote.")
    metrics = run.metrics if run.is_finished else {}
    main = headline(task, metrics)
    return ComparedRun(name, path, task, config, metrics, run.history, main, _correct_images(run, main))


def _correct_images(run: Run, main: Headline | None) -> tuple[int, int] | None:
    """The counts of ``per_class.csv``, if they give the accuracy that was stored."""
    if main is None or not main.name.endswith("/accuracy") or "per_class" not in run.tables:
        return None
    cells = [(row.get("correct"), row.get("images")) for row in run.table("per_class")]
    counts = [(right, all_) for right, all_ in cells if isinstance(right, int) and isinstance(all_, int)]
    right, count = sum(pair[0] for pair in counts), sum(pair[1] for pair in counts)
    agrees = len(counts) == len(cells) and count > 0 and abs(right / count - main.value) < _TOLERANCE
    return (right, count) if agrees else None


def _test(run: ComparedRun, reference: ComparedRun) -> tuple[float | None, str]:
    """The p-value of no difference, and what it was tested by."""
    if run.correct is not None and reference.correct is not None:
        successes, counts = zip(run.correct, reference.correct, strict=True)
        return proportion_test(successes, counts), "two proportions"
    halves = [_half_width(each.headline) for each in (run, reference)]
    return interval_test([_value(run), _value(reference)], halves), "intervals"


def _half_width(main: Headline | None) -> float:
    if main is None or main.low is None or main.high is None:
        return float("inf")
    return (main.high - main.low) / 2


def _value(run: ComparedRun) -> float:
    assert run.headline is not None
    return run.headline.value


def _metric(run: ComparedRun) -> str:
    return "" if run.headline is None else run.headline.name


def _differ(values: Mapping[str, Any], count: int) -> bool:
    first, *others = values.values()
    return len(values) < count or any(type(value) is not type(first) or value != first for value in others)


def short_names(paths: Sequence[Path]) -> list[str]:
    """The paths without the folders that all have in common; each is told from the others by it."""
    absolute = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute])
    return [os.path.relpath(path, common) for path in absolute]


def _natural(path: Path) -> list[Any]:
    """A key by which ``2`` comes before ``10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]
