"""What the headers of a data set's image files say before training: their range of values, and photos read unturned."""

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
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

__all__ = ["survey_images"]

_MAX_MEASURED = 300
_MAX_HEADERS = 2_000
"""Of a split; more are looked at evenly spaced, since each costs a tenth of a millisecond."""

Range = tuple[float, float]
T = TypeVar("T")


def survey_images(source: Source, splits: Splits, *, strict: bool) -> Splits:
    """Tell the splits how their image files are read, by the settings and by what the files are.

    Args:
        source: The data set.
        splits: Its splits; the ``reader`` of those of files is replaced.
        strict: Whether a photo that is read unturned is an error.

    Returns:
        The splits with their range of values and what was found.

    Raises:
        UserError: If ``strict`` is set and a photo is read unturned.
    """
    datasets = {split: samples for split, samples in splits.samples.items() if isinstance(samples, FileDataset)}
    if not isinstance(source, FileSource) or not datasets:
        return splits
    value_range, findings = source.value_range, list[Finding]()
    reader = source.image_reader(source.in_channels)
    if value_range is None and "train" in datasets:
        value_range, findings = _measure(datasets["train"], reader)
    for samples in datasets.values():
        samples.reader = replace(reader, value_range=value_range)
    turned = [name for samples in datasets.values() if samples.is_annotated for name in _unturned(samples)]
    findings += Finding.of("image-turned", turned)
    check_findings(findings, dataset=source.name, keys=source.keys, strict=strict)
    notes = [*splits.notes, *(finding.note for finding in findings)]
    return replace(splits, notes=notes, findings=[*splits.findings, *findings], value_range=value_range)


def _measure(samples: FileDataset, reader: ImageReader) -> tuple[Range | None, list[Finding]]:
    """The smallest and the largest value of images of more than 8 bits or of floats; None if there are none."""

    def values_of(index: int) -> Range | None:
        return reader.measure(samples.name(index))

    indices = _evenly(len(samples), _MAX_MEASURED)
    ranges = {index: found for index, found in zip(indices, _each(values_of, indices), strict=True) if found}
    if not ranges:
        return None, []
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    high = high if high > low else low + 1
    places = [samples.name(index) for index in ranges]
    return (low, high), Finding.of("value-range", places, low=f"{low:g}", high=f"{high:g}")


def _unturned(samples: FileDataset) -> list[str]:
    indices = _evenly(len(samples), _MAX_HEADERS)
    return [
        samples.name(i) for i, unturned in zip(indices, _each(samples.is_unturned, indices), strict=True) if unturned
    ]


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
