"""The splits of data sets that are Python objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy
import torch
from numpy.typing import NDArray

from visionkit.data.dataset import ImageDataset
from visionkit.data.findings import Finding, check_findings
from visionkit.data.images import ImageReader
from visionkit.data.sample_seeds import preserved_generators
from visionkit.data.sources.base import Splits
from visionkit.data.sources.class_names import doubtful_classes
from visionkit.data.sources.overlaps import label_conflicts, overlaps
from visionkit.data.sources.python.given import WHOLE, PythonObject
from visionkit.data.sources.python.items import ItemDataset
from visionkit.data.sources.python.ranges import find_range
from visionkit.data.sources.python.survey import Surveyed, labels_of, survey_items
from visionkit.data.splitting import check_class_sizes, hold_out, make_fold, restore_splits
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.sources.python.settings import PythonSettings

__all__ = ["read_splits"]


def read_splits(source: PythonSettings, *, seed: int, saved: Mapping[str, Any] | None, strict: bool) -> Splits:
    """Survey the data sets, and hold out of train what is missing.

    Raises:
        UserError: As `visionkit.data.sources.base.Source.splits`.
    """
    unread = {split: _open(source, split, held) for split, held in source.datasets.items()}
    with preserved_generators():
        value_range, findings = find_range(unread, source.value_range)
    for samples in unread.values():
        samples.reader = ImageReader(source.in_channels, value_range)
    surveyed = {split: survey_items(samples) for split, samples in unread.items()}
    samples_of = {split: found.samples for split, found in surveyed.items()}
    ids = _item_ids(surveyed)
    findings += [finding for found in surveyed.values() for finding in found.findings]
    findings += _class_findings(source)
    findings += _overlap_findings(source, samples_of, ids)
    check_findings(findings, dataset=source.name, keys=source.keys, strict=strict)
    notes, saved_names = list[str](), None
    origin = WHOLE if source.is_whole else "train"
    if "val" not in samples_of:
        positions, notes, found = _divide(source, samples_of[origin], ids[origin], origin, seed=seed, saved=saved)
        findings += found
        whole = samples_of.pop(origin)
        names = [whole.name(index) for index in range(len(whole))]
        saved_names = {split: [names[row] for row in rows] for split, rows in positions.items()}
        samples_of = {s: whole.select(torch.from_numpy(rows)) for s, rows in positions.items()} | samples_of
    findings += _split_findings(source, samples_of)
    ordered: dict[str, ImageDataset] = {s: samples_of[s] for s in ("train", "val", "test") if s in samples_of}
    check_findings(findings, dataset=source.name, keys=source.keys, strict=strict)
    return Splits(
        ordered, saved_names, [*(finding.note for finding in findings), *notes], findings, value_range=value_range
    )


def _open(source: PythonSettings, split: str, held: PythonObject) -> ItemDataset:
    return ItemDataset(
        held.value,
        numpy.arange(len(held.value)),
        prefix=split,
        targets=source.item_targets(),
        reader=ImageReader(source.in_channels),
    )


def _item_ids(surveyed: Mapping[str, Surveyed]) -> dict[str, NDArray[Any]]:
    """A number for each item of each split, int64 (N,), equal for items that are the same or have equal pixels."""
    first: dict[Any, int] = {}
    result = {}
    for split, found in surveyed.items():
        numbers = numpy.empty(len(found.ids), dtype=numpy.int64)
        for row, (place, digest) in enumerate(found.ids):
            known = first.get(place)
            if known is None:
                known = first.setdefault(digest, len(first)) if digest is not None else len(first)
            first.setdefault(place, known)
            numbers[row] = known
        result[split] = numbers
    return result


def _overlap_findings(
    source: PythonSettings, samples_of: Mapping[str, ItemDataset], ids: Mapping[str, NDArray[Any]]
) -> list[Finding]:
    names = {split: [samples.name(i) for i in range(len(samples))] for split, samples in samples_of.items()}
    findings = overlaps("splits", names, ids, allowed=source.allow_overlap) if len(names) > 1 else []
    if source.target == "label":
        all_ids = numpy.concatenate(list(ids.values()))
        labels = numpy.concatenate([labels_of(samples) for samples in samples_of.values()])
        _, first, inverse = numpy.unique(all_ids, return_index=True, return_inverse=True)
        findings += label_conflicts([name for split in names.values() for name in split], first[inverse], labels)
    return findings


def _class_findings(source: PythonSettings) -> list[Finding]:
    names = source.names()
    findings = Finding.of("labels-from-one", [names[0]]) if source.first_label(names) else []
    if source.has_counted_names:
        findings += Finding.of("class-names-counted", names)
    return [*findings, *doubtful_classes(names)]


def _split_findings(source: PythonSettings, samples_of: Mapping[str, ItemDataset]) -> list[Finding]:
    """Classes without an image, object or label in a split.

    Raises:
        UserError: If train or val has no object.
    """
    names = source.names()
    names = names[source.first_label(names) :]
    findings = []
    for split in ("train", "val", "test"):
        samples = samples_of.get(split)
        if samples is None or samples.masks is not None:
            continue
        if samples.annotations is not None:
            objects = samples.annotations.objects
            present = objects.labels[~objects.crowd]
            if not len(present) and split != "test":
                raise UserError(
                    f"dataset: no object is marked in any of the {len(samples)} images of {split}. Expected boxes in "
                    "some of train and of val."
                )
        else:
            present = labels_of(samples) if samples.labels.ndim == 1 else samples.labels.sum(0).nonzero().numpy()
        found = set(present.reshape(-1).tolist())
        missing = [name for number, name in enumerate(names) if number not in found]
        findings += Finding.of("class-untrained" if split == "train" else "class-not-in-split", missing, split=split)
    return findings


def _divide(
    source: PythonSettings,
    samples: ItemDataset,
    ids: NDArray[Any],
    origin: str,
    *,
    seed: int,
    saved: Mapping[str, Any] | None,
) -> tuple[dict[str, NDArray[Any]], list[str], list[Finding]]:
    """The positions of the items of train and of what is held out of it, notes, and findings on copies.

    Raises:
        UserError: If there are too few items, or saved splits do not fit them.
    """
    names = [samples.name(index) for index in range(len(samples))]
    from_all = "all items" if origin == WHOLE else "train"
    findings = list[Finding]()
    if saved is not None:
        position_of = {name: position for position, name in enumerate(names)}
        restored, notes = restore_splits(saved, position_of, dataset=source.name, root=origin)
        positions = {s: numpy.array([position_of[name] for name in rows]) for s, rows in restored.items()}
    else:
        fractions = {"val": 1 / source.folds if source.fold is not None else source.val_fraction}
        if origin == WHOLE and source.test_fraction and source.fold is None:
            fractions = {"test": source.test_fraction, **fractions}
        labels, notes = labels_of(samples), list[str]()
        _, first = numpy.unique(ids, return_index=True)
        findings = Finding.of("files-identical", [names[row] for row in numpy.delete(numpy.arange(len(ids)), first)])
        _check_enough(source, labels, len(first), list(fractions), origin)
        groups = ids if findings else None
        split_seed = seed if source.split_seed is None else source.split_seed
        if source.fold is not None:
            positions = make_fold(labels, source.fold, source.folds, seed=split_seed, groups=groups)
        else:
            parts = {part: max(1, round(fraction * len(names))) for part, fraction in fractions.items()}
            positions = hold_out(labels, parts, seed=split_seed, groups=groups)
    if source.fold is not None:
        notes.append(f"val is fold {source.fold} of 0 to {source.folds - 1} of {from_all}: {len(positions['val'])}")
    else:
        held_out = [split for split in positions if split != "train"]
        notes += [f"{split} held out of {from_all}: {len(positions[split])} of {len(names)}" for split in held_out]
    return positions, notes, findings


def _check_enough(source: PythonSettings, labels: NDArray[Any], num_items: int, parts: list[str], origin: str) -> None:
    needed = source.folds if source.fold is not None else 1 + len(parts)
    if num_items < needed:
        raise UserError(
            f"dataset: {origin} has {num_items} different item(s), too few to divide in {needed}. Expected at least "
            f'{needed}, or a val of its own: dataset={{"train": ..., "val": ...}}.'
        )
    if source.target == "label":
        class_names = source.names()
        values, counts = numpy.unique(labels, return_counts=True)
        sizes = {class_names[value]: int(count) for value, count in zip(values, counts, strict=True)}
        advice = 'Add items, or divide them yourself: dataset={"train": ..., "val": ..., "test": ...}'
        check_class_sizes(sizes, parts, where="dataset", advice=advice)
