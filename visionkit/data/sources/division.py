"""Random splits of image files: groups and copies of a file stay together, and what splits share is found."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from visionkit.data.findings import Finding
from visionkit.data.group_splitting import merge_groups
from visionkit.data.sources.overlaps import MAX_COMPARED, content_ids, find_uncompared, label_conflicts, overlaps
from visionkit.data.splitting import hold_out, make_fold, restore_splits
from visionkit.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visionkit.data.sources.overlaps import Names

__all__ = ["Division", "divide", "find_overlaps", "restore"]

_CHUNK = 4096


@dataclass(frozen=True)
class Division:
    """What images are held out of train.

    Attributes:
        positions: int64 (M,), the positions of the images of train and of each split held out of it.
        saved: The names of these images.
        notes: Messages for the user.
        findings: Copies of files, and names that a pattern does not match.
    """

    positions: dict[str, NDArray[Any]]
    saved: dict[str, list[str]]
    notes: list[str]
    findings: list[Finding] = field(default_factory=list)


def find_overlaps(
    root: Path,
    names: Mapping[str, Names],
    *,
    inodes: Mapping[str, NDArray[Any]] | None,
    group_by: str | None,
    groups: Mapping[str, Sequence[str]] | None,
    labels: Mapping[str, NDArray[Any]] | None,
    allow_overlap: bool,
    compare_contents: bool,
) -> list[Finding]:
    """Findings on images in two splits or classes; for the arguments see `FileSource.find_overlaps`."""
    total = sum(map(len, names.values()))
    if len(names) < 2 and (labels is None or total > MAX_COMPARED):
        return find_uncompared(total, compare_contents=compare_contents)
    sizes = [len(split_names) for split_names in names.values()]
    starts = numpy.cumsum(sizes)[:-1]
    all_names = _concatenate(list(names.values()))
    split_ids = numpy.repeat(numpy.arange(len(sizes)), sizes)
    all_labels = None if labels is None else numpy.concatenate([labels[split] for split in names])
    ids = content_ids(
        root,
        all_names,
        compare_contents=compare_contents,
        split_ids=split_ids if all_labels is None else split_ids + len(sizes) * all_labels,
        inodes=None if inodes is None else numpy.concatenate([inodes[split] for split in names]),
    )
    findings = overlaps("splits", names, dict(zip(names, numpy.split(ids, starts), strict=True)), allowed=allow_overlap)
    if all_labels is not None:
        findings += label_conflicts(all_names, ids, all_labels)
    if group_by is not None:
        keys = None if groups is None else [key for split in names for key in groups[split]]
        by_name, _ = group_ids(all_names, group_by, keys)
        by_split = dict(zip(names, numpy.split(by_name, starts), strict=True))
        findings += overlaps("groups", names, by_split, allowed=allow_overlap)
    return [*findings, *find_uncompared(len(all_names), compare_contents=compare_contents)]


def divide(
    root: Path,
    names: Names,
    labels: NDArray[Any],
    *,
    inodes: NDArray[Any] | None,
    fractions: Mapping[str, float],
    fold: tuple[int, int] | None,
    group_by: str | None,
    groups: Sequence[str] | None,
    compare_contents: bool,
    origin: str,
    seed: int,
    class_names: Sequence[str] | None,
) -> Division:
    """Hold images out of train at random, stratified by class; copies of a file and groups stay in one split.

    Args:
        root: As for `FileSource.divide`, like what is not named here.
        fold: The fold that is val and the number of folds; None holds out ``fractions``.
        group_by: As `FileSource.group_by`.
        groups: As for `FileSource.find_overlaps`.
        compare_contents: As `FileSource.compare_contents`.
        seed: The seed of the random splits.
        class_names: As for `FileSource.divide`.

    Raises:
        UserError: If there are fewer images or groups than splits, or no image of a class is left for train.
    """
    ids = content_ids(root, names, compare_contents=compare_contents, inodes=inodes)
    together: NDArray[Any] | None = ids
    copies = numpy.flatnonzero(ids != numpy.arange(len(names)))
    findings = Finding.of("files-identical", [os.fsdecode(names[row]) for row in copies.tolist()])
    notes = []
    if group_by is not None:
        by_name, unmatched = group_ids(names, group_by, groups)
        findings += Finding.of("group-unmatched", unmatched)
        together = merge_groups(ids, by_name)
        notes.append(f"{len(numpy.unique(by_name)):,} groups by dataset.group_by, each in one split")
    elif not len(copies):
        together = None
    num_groups = len(names) if together is None else len(numpy.unique(together))
    _check_enough(root, num_groups, fractions, fold, grouped=group_by is not None)
    if fold is not None:
        positions = make_fold(labels, *fold, seed=seed, groups=together)
    else:
        parts = {part: max(1, round(fraction * len(names))) for part, fraction in fractions.items()}
        positions = hold_out(labels, parts, seed=seed, groups=together)
    if class_names is not None:
        _check_trained(root, class_names, labels, positions["train"], together)
    total = len(names)
    if fold is not None:
        notes.append(f"val is fold {fold[0]} of 0 to {fold[1] - 1} of {origin}: {len(positions['val'])} of {total}")
    else:
        notes += _held_out_notes(positions, origin)
    return Division(positions, _saved(names, positions), notes, findings)


def _check_enough(
    root: Path, num_groups: int, fractions: Mapping[str, float], fold: tuple[int, int] | None, *, grouped: bool
) -> None:
    """Refuse fewer images or groups than splits."""
    num_splits = fold[1] if fold else 1 + len(fractions)
    if num_groups < num_splits:
        kind = "group(s) by dataset.group_by" if grouped else "image(s)"
        into = f"{fold[1]} folds" if fold else f"train and {' and '.join(fractions)}"
        raise UserError(
            f"dataset.root: '{root}' has {num_groups} {kind}, too few to divide in {into}. Expected at least "
            f"{num_splits}."
        )


def restore(saved: Mapping[str, Any], names: Names, *, dataset: str, root: str, origin: str) -> Division:
    """The positions of saved splits.

    Args:
        saved: The names of each split.
        names: The paths of the images of train.
        dataset: The data set's name, for messages.
        root: Its folder, for messages.
        origin: What images were held out of, for messages.

    Raises:
        UserError: As `restore_splits`.
    """
    position_of = {name: position for position, name in enumerate(_decode(names))}
    restored, notes = restore_splits(saved, position_of, dataset=dataset, root=root)
    positions = {
        split: numpy.array([position_of[name] for name in split_names], dtype=numpy.int64)
        for split, split_names in restored.items()
    }
    return Division(positions, restored, [*notes, *_held_out_notes(positions, origin)])


def group_ids(names: Names, group_by: str, keys: Sequence[str] | None) -> tuple[NDArray[Any], list[str]]:
    """The group of each name, and the names without one, each a group of its own.

    Args:
        names: Paths relative to the root.
        group_by: ``folder``, or a regular expression with one group.
        keys: The group of each name, if it is known otherwise; empty for none.

    Raises:
        UserError: If the pattern matches no name.
    """
    id_of: dict[str | int, int] = {}
    ids = numpy.empty(len(names), dtype=numpy.int64)
    unmatched = []
    search = re.compile(group_by if keys is None else "").search
    for row, name in enumerate(_decode(names)):
        key: str | int | None
        if keys is not None:
            key = keys[row] or None
        elif group_by == "folder":
            key = os.path.dirname(name)
        else:
            match = search(name)
            key = match[1] if match else None
        if key is None:
            unmatched.append(name)
            key = row
        ids[row] = id_of.setdefault(key, len(id_of))
    if len(unmatched) == len(names) and keys is None:
        raise UserError(
            f"dataset.group_by: '{group_by}' matches none of the {len(names):,} paths, such as '{unmatched[0]}'. "
            "Expected a regular expression that is found in them, or folder."
        )
    return ids, unmatched


def _check_trained(
    root: Path, class_names: Sequence[str], labels: NDArray[Any], train: NDArray[Any], groups: NDArray[Any] | None
) -> None:
    """Check that train has an image of each class, which it may lack only where groups are held out whole.

    Raises:
        UserError: If it has not; the message counts the groups of the classes.
    """
    missing = numpy.setdiff1d(labels, labels[train])
    if not len(missing):
        return
    groups = numpy.arange(len(labels)) if groups is None else groups
    counts = [f"'{class_names[label]}' {len(numpy.unique(groups[labels == label]))}" for label in missing[:5]]
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    raise UserError(
        f"dataset.root: '{root}': no image of the class '{class_names[missing[0]]}' is left for train, for groups by "
        f"dataset.group_by and copies of a file stay in one split. Groups of such classes: {', '.join(counts)}{more}. "
        "Expected at least 2 groups of each class, 3 with a test split. Add images of other groups, remove the class, "
        "or group by something else."
    )


def _held_out_notes(positions: Mapping[str, NDArray[Any]], origin: str) -> list[str]:
    total = sum(map(len, positions.values()))
    return [
        f"{split} held out of {origin}: {len(positions[split])} of {total}" for split in positions if split != "train"
    ]


def _saved(names: Names, positions: Mapping[str, NDArray[Any]]) -> dict[str, list[str]]:
    if isinstance(names, numpy.ndarray):
        return {split: _decode(names[rows]) for split, rows in positions.items()}
    return {split: [names[row] for row in rows.tolist()] for split, rows in positions.items()}


def _decode(names: Names) -> list[str]:
    """Names as text; an array of bytes is decoded many at once, which is faster than one by one."""
    if not isinstance(names, numpy.ndarray):
        return list(names)
    chunks = (names[start : start + _CHUNK].tolist() for start in range(0, len(names), _CHUNK))
    return [name for chunk in chunks for name in os.fsdecode(b"\0".join(chunk)).split("\0")]


def _concatenate(parts: Sequence[Names]) -> Names:
    if all(isinstance(part, numpy.ndarray) for part in parts):
        joined: NDArray[Any] = numpy.concatenate(parts)
        return joined
    return [name for part in parts for name in part]
