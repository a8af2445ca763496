"""Whether runs were tested on the same images, as far as their files say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.files import read_json
from visionkit.runs.consistency import leaves
from visionkit.runs.paths import RunPaths
from visionkit.runs.run import Run

if TYPE_CHECKING:
    from visionkit.runs.comparison import ComparedRun

__all__ = ["explain_other_images"]

_SAME_IMAGES = frozenset(
    {"augment", "balance", "cache_mb", "download", "mean", "num_workers", "root", "std", "value_range"}
)
"""Keys of a data set that say where its images lie and how they are treated, not which they are."""

_COUNTS = ("class", "images", "objects", "pixels")
"""Columns of ``per_class.csv`` that depend on the annotations alone."""


def explain_other_images(runs: Sequence[ComparedRun]) -> str:
    """How the test images of a finished run differ from those of the first; empty if nothing says that any do."""
    finished = [run for run in runs if run.headline is not None]
    return next((text for run in finished[1:] for text in _reasons(run, finished[0])), "")


def _reasons(run: ComparedRun, first: ComparedRun) -> Iterator[str]:
    pair = f"{run.name} and {first.name}"
    if run.headline and first.headline and run.headline.name != first.headline.name:
        yield f"{pair}: {run.headline.name} and {first.headline.name} are of different splits"
    one, other = _data_settings(run.config), _data_settings(first.config)
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            yield f"{pair}: dataset.{key} differs"
    if _limits(run.config) != _limits(first.config):
        yield f"{pair}: debug.limit_batches leaves out other images"
    if _test_split(run.path) != _test_split(first.path):
        yield f"{pair}: splits.json divides the images differently"
    if _class_counts(run.path) != _class_counts(first.path):
        yield f"{pair}: per_class.csv counts other images or objects of a class"


def _data_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What says which images there are; those of files are the same at any size, those that are made are not."""
    dataset = config.get("dataset")
    if not isinstance(dataset, Mapping):
        return {}
    unimportant = _SAME_IMAGES | {"image_size"} if dataset.get("root") else _SAME_IMAGES
    return {key: value for key, value in leaves(dataset) if not unimportant & set(key.split("."))}


def _limits(config: Mapping[str, Any]) -> Any:
    debug, recipe = config.get("debug"), config.get("recipe")
    if not isinstance(debug, Mapping) or not isinstance(recipe, Mapping) or debug.get("limit_batches") is None:
        return None
    return debug["limit_batches"], debug.get("batch_size") or recipe.get("batch_size")


def _test_split(path: Path) -> Any:
    """The part of ``splits.json`` that was tested; None without the file."""
    file = RunPaths(path).splits_file
    if not file.exists():
        return None
    splits = read_json(file, where="run: ", advice=f"Train it again: python -m visionkit train run={path}")
    return splits.get("test", splits.get("val")) if isinstance(splits, dict) else splits


def _class_counts(path: Path) -> Any:
    """The classes with their numbers of images, objects or pixels; None without the table."""
    run = Run(path)
    if "per_class" not in run.tables:
        return None
    return [[row[name] for name in _COUNTS if name in row] for row in run.table("per_class")]
