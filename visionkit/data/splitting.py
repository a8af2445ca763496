"""Dividing a data set: drawn so that each class gives each part the same share of its samples, or as it was saved."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_class_sizes", "hold_out", "read_splits", "restore_splits"]


def hold_out(labels: NDArray[Any], parts: Mapping[str, int], *, seed: int) -> dict[str, NDArray[Any]]:
    """Draw disjoint parts out of a training set.

    Every class gives each part at least one sample and keeps at least one. The draw is NumPy's legacy
    ``RandomState``, whose stream is fixed for all versions.

    Args:
        labels: Class ids (N,).
        parts: How many samples each part should hold, such as ``{"val": 5000}``.
        seed: Of the draw.

    Returns:
        ``"train"`` and the parts, each the sorted positions of its samples, int64.
    """
    import numpy

    random = numpy.random.RandomState(seed % 2**32)
    order = random.permutation(len(labels))
    by_class = [order[labels[order] == label] for label in numpy.unique(labels)]
    result: dict[str, NDArray[Any]] = {}
    for number, (part, total) in enumerate(parts.items()):
        sizes = numpy.array([len(members) for members in by_class])
        quotas = _quotas(sizes, total, reserve=len(parts) - number)
        result[part] = numpy.sort(numpy.concatenate([m[:q] for m, q in zip(by_class, quotas, strict=True)]))
        by_class = [members[quota:] for members, quota in zip(by_class, quotas, strict=True)]
    return {"train": numpy.sort(numpy.concatenate(by_class)), **result}


def check_class_sizes(sizes: Mapping[str, int], parts: Sequence[str], *, where: str, advice: str) -> None:
    """Make sure that each class has a sample for training and one for each part.

    Raises:
        UserError: If one has not; the message names the classes.
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
    """The division that was saved, for the files which are there now.

    Args:
        saved: The names of each part.
        files: The names that there are.
        dataset: The data set, for messages.
        root: Its folder, for messages.

    Returns:
        The names of each part, and a note where files came later.

    Raises:
        UserError: If the division has no train and val, names files that are gone, or its parts overlap.
    """
    if not {"train", "val"} <= set(saved) or not all(isinstance(names, list) for names in saved.values()):
        raise UserError(
            f"the saved division of dataset '{dataset}' should list the files of train and val; found "
            f"{', '.join(map(str, saved)) or 'nothing'}. Remove the file splits.json to divide anew."
        )
    gone = [name for names in saved.values() for name in names if name not in files]
    if gone:
        raise UserError(
            f"the saved division of dataset '{dataset}' names {len(gone)} file(s) that are no longer in "
            f"'{root}', the first of them '{gone[0]}'. Put them back, or remove the file splits.json to "
            "divide anew (results are then no longer comparable)."
        )
    listed = Counter(name for names in saved.values() for name in names)
    twice = next((name for name, count in listed.items() if count > 1), None)
    if twice is not None:
        raise UserError(
            f"the saved division of dataset '{dataset}' lists '{twice}' more than once, but splits must not "
            "overlap. Remove the file splits.json to divide anew."
        )
    newer = len(files) - len(listed)
    notes = [f"{newer} file(s) newer than the saved division left out"] if newer else []
    return {split: list(names) for split, names in saved.items()}, notes


def read_splits(path: Path) -> dict[str, Any]:
    """The division that a file holds.

    Raises:
        UserError: If it cannot be read, or is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the saved division '{path}' cannot be read: {error}. Remove it to divide anew.") from None
    if not isinstance(value, dict):
        raise UserError(f"the saved division '{path}' is no mapping of splits to files. Remove it to divide anew.")
    return value


def _quotas(sizes: NDArray[Any], total: int, *, reserve: int) -> NDArray[Any]:
    """Largest remainders: whole numbers in proportion to the sizes, at least 1, leaving ``reserve`` in each class."""
    import numpy

    exact = sizes * (total / max(1, sizes.sum()))
    quotas = numpy.floor(exact).astype(numpy.int64)
    rest = numpy.argsort(quotas - exact, kind="stable")[: max(0, total - int(quotas.sum()))]
    quotas[rest] += 1
    clipped: NDArray[Any] = numpy.clip(quotas, 1, numpy.maximum(1, sizes - reserve))
    return clipped
