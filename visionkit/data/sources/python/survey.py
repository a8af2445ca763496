"""Asking a person's data set for each item once, before training: what its targets are, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import torch
from numpy.typing import NDArray

from visionkit.console import PipeSafeConsole
from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import MAX_LISTED, Finding
from visionkit.data.image_error import ImageError
from visionkit.data.images import ImageReader
from visionkit.data.sample_seeds import preserved_generators
from visionkit.data.sources.object_limits import MAX_OBJECTS
from visionkit.data.sources.python.given import PythonObject, check_dataset, locate, stored_targets
from visionkit.data.sources.python.items import ItemDataset
from visionkit.data.sources.python.targets import ItemTargets
from visionkit.distributed.processes import is_first_process
from visionkit.errors import UserError

__all__ = ["Surveyed", "count_classes", "labels_of", "survey_items"]

_MIN_SHOWN = 1000
_LOOKED_AT = 200
"""The items of a data set with known labels that are asked for, evenly spaced."""


@dataclass
class Surveyed:
    """What was found in the items of one data set.

    Attributes:
        samples: The items that can be read, with their targets.
        ids: What each of them is: its place behind ``Subset`` and ``ConcatDataset``, and a digest of its pixels.
        findings: What was dropped, repaired or is doubtful.
    """

    samples: ItemDataset
    ids: list[tuple[Any, bytes | None]]
    findings: list[Finding]


@dataclass
class _Notes:
    """Problems by code: how many, and the first places."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, code: str, place: str) -> None:
        self.counts[code] += 1
        if len(self.places[code]) < MAX_LISTED:
            self.places[code].append(place)

    def findings(self, split: str) -> list[Finding]:
        limit = f"{MAX_OBJECTS:,}"
        return [
            Finding.counted(code, count, self.places[code], split=split, limit=limit)
            for code, count in self.counts.items()
        ]


def survey_items(samples: ItemDataset) -> Surveyed:
    """Read each item once; of a data set with an attribute ``targets`` of labels that agree with its items, some.

    Args:
        samples: The items, with no targets yet.

    Raises:
        UserError: If the target of an item is of another kind, no item can be read, or the length has changed.
    """
    length = len(samples)
    with preserved_generators():
        found = _survey_known(samples) or _survey_all(samples)
    check_dataset(samples.prefix, samples.data)
    if len(samples.data) != length:
        raise UserError(
            f"dataset: {samples.prefix} had {length:,} items, and {len(samples.data):,} after they were read. Expected "
            "a data set that keeps its length."
        )
    return found


def _survey_known(samples: ItemDataset) -> Surveyed | None:
    """The labels by the attribute ``targets``; None without one, or if an item has another label or cannot be read."""
    labels = stored_targets(samples.data) if samples.targets.kind == "label" else None
    if labels is None:
        return None
    for index in range(0, len(samples), -(-len(samples) // _LOOKED_AT)):
        try:
            samples.original(index)
        except ImageError:
            return None
        if samples.targets.label(samples.item(index)[1], samples.name(index)) != labels[index]:
            return None
    for index in numpy.flatnonzero(labels < 0)[:1].tolist():
        samples.targets.label(int(labels[index]), samples.name(index))
    samples.targets.label(int(labels.max()), samples.name(int(labels.argmax())))
    samples.labels = torch.from_numpy(labels)
    return Surveyed(samples, [(locate(samples.data, row), None) for row in range(len(samples))], [])


def _survey_all(samples: ItemDataset) -> Surveyed:
    kind, notes = samples.targets.kind, _Notes()
    kept: list[int] = []
    ids: list[tuple[Any, bytes | None]] = []
    values: list[Any] = []
    first_error: ImageError | None = None
    for index in _showing_progress(range(len(samples)), f"reading {len(samples):,} items of {samples.prefix}"):
        name = samples.name(index)
        try:
            pixels, size = samples.original(index)
            value = _read_target(samples, index, size, notes)
        except ImageError as error:
            first_error = first_error or error
            code = error.code if error.code in ("mask-size", "image-too-large") else "item-failed"
            reason = str(error).removeprefix(f"{name} ")
            notes.add(code, f"{name} {reason}" if code == "item-failed" else name)
            continue
        kept.append(index)
        values.append(value)
        digest = hashlib.blake2b(pixels.numpy().tobytes(), digest_size=16)
        digest.update(str(tuple(pixels.shape)).encode())
        ids.append((locate(samples.data, int(samples.rows[index])), digest.digest()))
    if not kept:
        raise UserError(f"dataset: none of the {len(samples):,} items of {samples.prefix} can be read: {first_error}")
    samples = samples.select(torch.tensor(kept, dtype=torch.int64))
    if kind == "label":
        samples.labels = torch.tensor(values, dtype=torch.int64)
    elif kind == "label_set":
        samples.labels = torch.from_numpy(numpy.stack(values))
    elif kind != "mask":
        samples.annotations = Annotations.join([replace(value, segmentations=None) for value in values])
        _check_pixels(samples)
    return Surveyed(samples, ids, notes.findings(samples.prefix))


def _read_target(samples: ItemDataset, index: int, size: tuple[int, int], notes: _Notes) -> Any:
    """The target of an item in the form of `visionkit.data.sources.python.targets`, None for a mask."""
    targets, target, name = samples.targets, samples.item(index)[1], samples.name(index)
    if targets.kind == "label":
        return targets.label(target, name)
    if targets.kind == "label_set":
        return targets.label_set(target, name)
    if targets.kind == "mask":
        if targets.mask(target, size, name).has_strays:
            notes.add("item-mask-values", name)
        return None
    objects, problems = targets.objects(target, size, name)
    for code, place in problems:
        notes.add(code, place)
    return objects


def _check_pixels(samples: ItemDataset) -> None:
    """Check that boxes are no fractions of the image's sides.

    Raises:
        UserError: If all of them are.
    """
    objects: Objects = samples.annotations.objects  # type: ignore[union-attr]
    if len(objects) and bool((objects.boxes <= 1).all()):
        raise UserError(
            f"dataset: the boxes of all {len(objects):,} objects of {samples.prefix} lie between 0 and 1, as fractions "
            "of the image's sides. Expected pixels. Multiply x by the width and y by the height of each image."
        )


def _showing_progress(indices: Sequence[int], text: str) -> Any:
    """Pass indices on; where there are many, say on standard error what takes long, in a terminal with a bar."""
    if len(indices) < _MIN_SHOWN or not is_first_process():
        return indices
    from rich.progress import track

    console = PipeSafeConsole(stderr=True)
    if console.is_terminal:
        return track(indices, text, console=console, transient=True)
    console.print(f"{text} ...", soft_wrap=True)
    return indices


def labels_of(samples: ItemDataset) -> NDArray[Any]:
    """What splits are stratified by: class ids, int64 (N,), zeros for other targets."""
    labels = samples.labels
    return labels.numpy() if labels.ndim == 1 else numpy.zeros(len(samples), dtype=numpy.int64)


def count_classes(datasets: Mapping[str, PythonObject]) -> int:
    """The number of classes of data sets without names: one more than the largest label.

    Raises:
        UserError: If a target is no label.
    """
    highest = 0
    targets = ItemTargets("label", None)
    for split, held in datasets.items():
        known = stored_targets(held.value)
        if known is not None:
            highest = max(highest, int(known.max()))
            continue
        samples = ItemDataset(
            held.value, numpy.arange(len(held.value)), prefix=split, targets=targets, reader=ImageReader(3)
        )
        with preserved_generators():
            for index in range(len(samples)):
                try:
                    target = samples.item(index)[1]
                except ImageError:
                    continue
                highest = max(highest, targets.label(target, samples.name(index)))
    return highest + 1
