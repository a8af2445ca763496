"""Stratified random splits of a data set, and splits restored from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.data.group_splitting import split_groups
from visionkit.errors import UserError
from visionkit.files import read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_class_sizes", "hold_out", "make_fold", "read_splits", "restore_splits"]


def hold_out(
    labels: NDArray[Any], parts: Mapping[str, int], *, seed: int, groups: NDArray[Any] | None = None
) -> dict[str, NDArray[Any]]:
    """Split a training set at random, stratified by class.

    Every class has at least one sample in each part and one in train. The samples are drawn with NumPy's legacy
    ``RandomState``, whose stream is the same in all versions.

    Args:
        labels: Class ids, integers (N,).
        parts: The number of samples of each part, such as ``{"val": 5000}``; with groups about so many.
        seed: The seed of the random split.
        groups: Group ids, integers (N,), of samples that stay in one part; a class of few groups may then miss a part.

    Returns:
        The sorted positions of the samples of ``"train"`` and of each part, int64.
    """
    import numpy

    if groups is not None and (
        len(numpy.unique(groups)) < len(groups) or numpy.unique(labels, return_counts=True)[1].min() <= len(parts)
    ):
        held_out = [size / len(labels) for size in parts.values()]
        split_ids = split_groups(labels, groups, [1 - sum(held_out), *held_out], seed=seed, first_is_train=True)
        return {name: numpy.flatnonzero(split_ids == index) for index, name in enumerate(["train", *parts])}
    random = numpy.random.RandomState(seed % 2**32)
    order = random.permutation(len(labels))
    order = order[numpy.argsort(labels[order], kind="stable")]
    by_class = numpy.split(order, numpy.flatnonzero(numpy.diff(labels[order])) + 1)
    result: dict[str, NDArray[Any]] = {}
    for position, (part, total) in enumerate(parts.items()):
        sizes = numpy.array([len(members) for members in by_class])
        quotas = _quotas(sizes, total, reserve=len(parts) - position)
        result[part] = numpy.sort(numpy.concatenate([m[:q] for m, q in zip(by_class, quotas, strict=True)]))
        by_class = [members[quota:] for members, quota in zip(by_class, quotas, strict=True)]
    return {"train": numpy.sort(numpy.concatenate(by_class)), **result}


def make_fold(
    labels: NDArray[Any], fold: int, folds: int, *, seed: int, groups: NDArray[Any] | None = None
) -> dict[str, NDArray[Any]]:
    """One of the divisions of k-fold cross-validation, stratified by class.

    Args:
        labels: Class ids, integers (N,).
        fold: The fold that is ``"val"``, from 0; the others are ``"train"``.
        folds: The number of folds.
        seed: The seed of the random folds, the same for all of them.
        groups: Group ids, integers (N,), of samples that stay in one fold.

    Returns:
        The sorted positions of the samples of ``"train"`` and of ``"val"``, int64.
    """
    import numpy

    groups = numpy.arange(len(labels)) if groups is None else groups
    is_val = split_groups(labels, groups, [1 / folds] * folds, seed=seed, first_is_train=False) == fold
    return {"train": numpy.flatnonzero(~is_val), "val": numpy.flatnonzero(is_val)}


def check_class_sizes(sizes: Mapping[str, int], parts: Sequence[str], *, where: str, advice: str) -> None:
    """Check that each class has one sample for train and one for each part.

    Raises:
        UserError: If a class has fewer; the message names the classes.
    """
    needed = 1 + len(parts)
    small = [f"'{name}' ({size})" for name, size in sizes.items() if size < needed]
    if small:
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        raise UserError(
            f"{where}: too few samples to split in {' and '.join(['train', *parts])}: each class needs at least "
            f"{needed}, found {', '.join(small[:5])}{more}. {advice}"
        )


def restore_splits(
    saved: Mapping[str, Any], files: Collection[str], *, dataset: str, root: str
) -> tuple[dict[str, list[str]], list[str]]:
    """Check saved splits against the present files.

    Args:
        saved: The file names of each split.
        files: The names of the present files.
        dataset: The data set's name, for messages.
        root: The data set's folder, for messages.

    Returns:
        The file names of each split, and a note if files were added later.

    Raises:
        UserError: If the splits have no train and val, name missing files, or overlap.
    """
    lists = saved.values() if {"train", "val"} <= set(saved) <= {"train", "val", "test"} else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise UserError(
            f"the saved division of dataset '{dataset}' should list the files of train and val; found "
            f"{', '.join(map(str, saved)) or 'nothing'}. Remove the file splits.json to divide anew."
        )
    missing = [name for names in saved.values() for name in names if name not in files]
    if missing:
        raise UserError(
            f"the saved division of dataset '{dataset}' names {len(missing)} file(s) that are no longer in "
            f"'{root}', the first of them '{missing[0]}'. Put them back, or remove the file splits.json to "
            "divide anew (results are then no longer comparable)."
        )
    counts = Counter(name for names in saved.values() for name in names)
    duplicate = next((name for name, count in counts.items() if count > 1), None)
    if duplicate is not None:
        raise UserError(
            f"the saved division of dataset '{dataset}' lists '{duplicate}' more than once, but splits must not "
            "overlap. Remove the file splits.json to divide anew."
        )
    num_newer = len(files) - len(counts)
    notes = [f"{num_newer} file(s) newer than the saved division left out"] if num_newer else []
    return {split: list(names) for split, names in saved.items()}, notes


def read_splits(path: Path) -> dict[str, Any]:
    """Read splits from a JSON file.

    Raises:
        UserError: If the file cannot be read or is no mapping.
    """
    value = read_json(path, where="the saved division ", advice="Remove it to divide anew.")
    if not isinstance(value, dict):
        raise UserError(f"the saved division '{path}' is no mapping of splits to files. Remove it to divide anew.")
    return value


def _quotas(sizes: NDArray[Any], total: int, *, reserve: int) -> NDArray[Any]:
    """Apportion ``total`` to classes of these sizes by largest remainders, at least 1, leaving ``reserve`` in each."""
    import numpy

    exact = sizes * (total / max(1, sizes.sum()))
    quotas = numpy.floor(exact).astype(numpy.int64)
    rest = numpy.argsort(quotas - exact, kind="stable")[: max(0, total - int(quotas.sum()))]
    quotas[rest] += 1
    clipped: NDArray[Any] = numpy.clip(quotas, 1, numpy.maximum(1, sizes - reserve))
    return clipped
