"""What a data set's image files say before training: their range of values, and how photos are turned."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from visionkit.data.dataset import FileDataset
from visionkit.data.findings import Finding, check_findings
from visionkit.data.images import ImageReader
from visionkit.data.sources import Splits
from visionkit.data.sources.base import Source
from visionkit.data.sources.file_source import FileSource
from visionkit.data.value_ranges import Measured, range_findings, range_of
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

__all__ = ["survey_images"]

_MAX_MEASURED = {"train": 300, "val": 100, "test": 100}
_MAX_HEADERS = 2_000
"""Of a split; more are looked at evenly spaced, since each costs a tenth of a millisecond."""

T = TypeVar("T")


def survey_images(source: Source, splits: Splits, *, strict: bool) -> Splits:
    """Tell the splits how their image files are read, by the settings and by what the files are.

    Args:
        source: The data set.
        splits: Its splits; the ``reader`` of those of files is replaced.
        strict: Whether a doubt about ranges or orientations is an error.

    Returns:
        The splits with their range of values and what was found.

    Raises:
        UserError: If a split other than train has more bits than train, or if ``strict`` is set and there is a doubt.
    """
    datasets = {split: samples for split, samples in splits.samples.items() if isinstance(samples, FileDataset)}
    if not isinstance(source, FileSource) or not datasets:
        return splits
    value_range, findings = source.value_range, list[Finding]()
    reader = source.image_reader(source.in_channels)
    if value_range is None and "train" in datasets:
        measured = {split: _measure(samples, reader, split=split) for split, samples in datasets.items()}
        value_range = range_of(measured["train"])
        findings = range_findings(measured, value_range)
    for samples in datasets.values():
        samples.reader = replace(reader, value_range=value_range)
    doubts = [doubt for samples in datasets.values() if samples.is_annotated for doubt in _orientation_doubts(samples)]
    for code in ("image-turned", "image-orientation"):
        findings += Finding.of(code, [name for found, name in doubts if found == code])
    check_findings(findings, dataset=source.name, keys=source.keys, strict=strict)
    notes = [*splits.notes, *(finding.note for finding in findings)]
    return replace(splits, notes=notes, findings=[*splits.findings, *findings], value_range=value_range)


def _measure(samples: FileDataset, reader: ImageReader, *, split: str) -> Measured:
    indices = _evenly(len(samples), _MAX_MEASURED[split])
    looked = zip(indices, _each(lambda index: (reader.measure(samples.name(index)),), indices), strict=True)
    found = {samples.name(index): values[0] for index, values in looked if values is not None}
    deep = {name: values for name, values in found.items() if values is not None}
    return Measured(deep, [name for name in found if name not in deep])


def _orientation_doubts(samples: FileDataset) -> list[tuple[str, str]]:
    """The code and the image of each doubt about its orientation."""
    indices = _evenly(len(samples), _MAX_HEADERS)
    codes = zip(indices, _each(samples.orientation_doubt, indices), strict=True)
    return [(code, samples.name(index)) for index, code in codes if code]


def _evenly(count: int, limit: int) -> range:
    return range(0, count, -(-count // limit)) if count else range(0)


def _each(look: Callable[[int], T], indices: range) -> list[T | None]:
    """What ``look`` gives for each index, None where a file cannot be read: reading it will say so."""

    def attempt(index: int) -> T | None:
        try:
            return look(index)
        except UserError:
            return None

    with ThreadPoolExecutor(min(8, available_cores())) as pool:
        return list(pool.map(attempt, indices))
