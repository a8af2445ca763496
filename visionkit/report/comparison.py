"""Several runs side by side as tables of text and as a document."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from visionkit.metric_names import metric_title
from visionkit.report.tables import Grid
from visionkit.runs.comparison import SIGNIFICANCE, ComparedRun, Difference
from visionkit.runs.listing import is_being_trained
from visionkit.schema import describe

__all__ = ["comparison_document", "comparison_grids", "run_labels"]

Settings = Mapping[str, Mapping[str, Any]]
"""Dotted keys to the values of the runs that have them, by the names of the runs."""

_MAX_KEYS = 12
"""Of a section that are shown; a section of which more differ is another network or data set as a whole."""

_MAX_LABEL_KEYS, _MAX_LABEL_NAME = 3, 60
_WHOLE = ("name", "type")
_UNPAIRED = (
    "Results of single images are not stored: the test takes them as drawn apart for each run (unpaired). On the same "
    "images that is cautious, and a smaller difference may be real too. It knows the chance of the images alone: "
    "another seed may change either run."
)


def comparison_grids(runs: Sequence[ComparedRun], differences: Sequence[Difference], settings: Settings) -> list[Grid]:
    """Metrics, the verdicts on the main one, and the settings that differ; a column per run."""
    names = [run.name for run in runs]
    aligned = [False] + [True] * len(runs)
    rows = [[metric_title(key), *(_metric_cell(run.metrics, key) for run in runs)] for key in _metric_keys(runs)]
    grids = [Grid("metrics, with 95 % intervals", ["", *names], rows, aligned, elsewhere="format=json")]
    if differences:
        title = f"{metric_title(differences[0].metric)} against {differences[0].reference}"
        verdicts = [[d.run, f"{d.difference:+.4f}", _p_cell(d.p_value), _verdict(d)] for d in differences]
        headings = ["run", "difference", "p", "more than chance"]
        grids.append(Grid(title, headings, verdicts, [False, True, True, False], elsewhere="format=json"))
    if settings:
        shown, notes = _shown_settings(settings)
        cells = [[key, *(_setting(values, name) for name in names)] for key, values in shown.items()]
        grids.append(Grid("settings that differ", ["", *names], cells, aligned, notes=notes, elsewhere="format=json"))
    return grids


def comparison_document(
    runs: Sequence[ComparedRun],
    differences: Sequence[Difference],
    settings: Settings,
    other_images: str,
    *,
    curves: str | None,
) -> dict[str, Any]:
    """The comparison as plain values; ``settings`` has all keys that differ, ``notes`` is what must be said."""
    return {
        "task": runs[0].task,
        "runs": [
            {
                "name": run.name,
                "path": str(run.path),
                "state": "unfinished" if run.headline is None and not run.metrics else "done",
                "headline": None if run.headline is None else asdict(run.headline),
                "parameters": run.metrics.get("parameters"),
                "metrics": dict(run.metrics),
            }
            for run in runs
        ],
        "differences": [asdict(difference) for difference in differences],
        "paired": False,
        "same_test_images": not other_images,
        "settings": {key: dict(values) for key, values in settings.items()},
        "curves": curves,
        "notes": _notes(runs, differences, settings, other_images),
    }


def run_labels(runs: Sequence[ComparedRun], settings: Settings) -> list[str]:
    """The names of runs with the first settings that differ, for a legend."""
    from visionkit.report.style import shorten

    shown, _ = _shown_settings(settings)
    keys = sorted((key for key in shown if not key.startswith("hardware.")), key=_label_rank)[:_MAX_LABEL_KEYS]
    texts = [
        [f"{_short(key)}={_setting(settings[key], run.name)}" for key in keys if run.name in settings[key]]
        for run in runs
    ]
    names = [shorten(run.name, _MAX_LABEL_NAME) for run in runs]
    return [f"{name}: {' '.join(text)}" if text else name for name, text in zip(names, texts, strict=True)]


def _notes(
    runs: Sequence[ComparedRun], differences: Sequence[Difference], settings: Settings, other_images: str
) -> list[str]:
    notes = [_unfinished(run) for run in runs if not run.metrics]
    if other_images:
        notes.append(f"The runs were not tested on the same images ({other_images}): the difference may be theirs.")
    elif "dataset.root" in settings and differences:
        notes.append("The data lie in different folders, and are taken to be the same.")
    if any(difference.p_value is None for difference in differences):
        notes.append("Where a run has no 95 % interval, chance cannot be judged.")
    if any(difference.p_value is not None for difference in differences):
        notes.append(_UNPAIRED)
    if len(differences) > 1:
        notes.append(
            f"p is adjusted for {len(differences)} comparisons (Holm 1979). Who chooses one of several runs by its "
            "test fits the test split: choose by validation."
        )
    if not settings:
        notes.append("The settings are the same.")
    return notes


def _unfinished(run: ComparedRun) -> str:
    epochs = "1 epoch" if len(run.history) == 1 else f"{len(run.history)} epochs"
    if is_being_trained(run.path):
        return f"{run.name} is being trained now: it has {epochs} and was not tested yet."
    return (
        f"{run.name} is not finished: it has {epochs} and was not tested. Go on with it: "
        f"python -m visionkit train run={shlex.quote(str(run.path))} resume=true"
    )


def _metric_keys(runs: Sequence[ComparedRun]) -> list[str]:
    """Of the test first, then what is known of the runs."""
    keys = dict.fromkeys(key for run in runs for key in run.metrics)
    return [key for key in keys if not (key.endswith(("_low", "_high")) and key.rpartition("_")[0] in keys)]


def _metric_cell(metrics: Mapping[str, float], key: str) -> str:
    if key not in metrics:
        return "-"
    value, low, high = metrics[key], metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
    return text if low is None or high is None else f"{text} ({low:.4f} to {high:.4f})"


def _p_cell(p_value: float | None) -> str:
    if p_value is None:
        return "-"
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def _verdict(difference: Difference) -> str:
    if difference.more_than_chance is None:
        return "cannot be known"
    return f"yes (p < {SIGNIFICANCE})" if difference.more_than_chance else f"no (p >= {SIGNIFICANCE})"


def _shown_settings(settings: Settings) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """The settings to show, and lines about those that are left out."""
    shown: dict[str, Mapping[str, Any]] = {}
    notes = []
    for section in dict.fromkeys(key.partition(".")[0] for key in settings):
        keys = [key for key in settings if key.partition(".")[0] == section]
        kept = keys
        if len(keys) > _MAX_KEYS:
            kept = [f"{section}.{word}" for word in _WHOLE if f"{section}.{word}" in keys] or keys[:_MAX_KEYS]
            notes.append(f"{section}: {len(keys) - len(kept)} more keys differ; format=json has all")
        shown |= {key: settings[key] for key in kept}
    return shown, notes


def _setting(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "-"
    value = values[name]
    return "null" if value is None else value if isinstance(value, str) else describe(value)


def _label_rank(key: str) -> int:
    """What tells a run best comes first: its network or data, and what it repeats last."""
    word = key.rpartition(".")[2]
    return 0 if word in _WHOLE else 2 if word in ("seed", "epochs") else 1


def _short(key: str) -> str:
    """The last word of a key; of ``backbone.name`` the first."""
    section, _, rest = key.rpartition(".")
    return section if rest in _WHOLE and section else rest
