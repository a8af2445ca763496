"""The numbers of a data set: images, sizes, forms, classes and objects of each split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from visionkit.checking.data_set import SPLITS, DataSet
from visionkit.checking.file_record import FORMATS, MODES

if TYPE_CHECKING:
    from visionkit.data.dataset import ImageDataset

__all__ = ["summarize"]

_SHARES = {"smallest": 0.0, "median": 0.5, "largest": 1.0}


def summarize(data: DataSet) -> dict[str, Any]:
    """Numbers of the data set as plain values, by split where they have one."""
    files = data.files
    read = (files.split >= 0) & files.is_seen
    summary: dict[str, Any] = {
        "files": len(files), "bytes": int(files.records["bytes"].sum()),
        "formats": _counts(files.records["format"][read], FORMATS),
        "modes": _counts(files.records["mode"][read], MODES),
        "classes": list(data.info.class_names) if data.info else [],
        "splits": {split: _of_split(data, split, samples) for split, samples in data.splits.items()},
    }  # fmt: skip
    return summary


def _counts(values: Any, names: tuple[str, ...]) -> dict[str, int]:
    numbers, counts = numpy.unique(values, return_counts=True)
    return {
        names[number] or "other": int(count) for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
    }


def _of_split(data: DataSet, split: str, samples: ImageDataset) -> dict[str, Any]:
    from visionkit.data.dataset import count_classes

    found: dict[str, Any] = {"images": len(samples)}
    files = data.files
    rows = (files.split == SPLITS.index(split)) & files.is_seen
    if rows.any():
        found["height"] = _quantiles(files.records["height"][rows])
        found["width"] = _quantiles(files.records["width"][rows])
    if data.info is not None and samples.masks is None:
        found["per_class"] = count_classes(samples, data.info.num_classes).tolist()
    if samples.annotations is not None:
        objects = samples.annotations.objects
        found["objects"] = len(objects)
        found["objects_per_image"] = _quantiles(samples.annotations.counts)
        if len(objects):
            found["side"] = _quantiles(numpy.sqrt(numpy.maximum(objects.area, 0)))
    return found


def _quantiles(values: Any) -> dict[str, float]:
    found = numpy.quantile(values, list(_SHARES.values())) if len(values) else [0.0] * len(_SHARES)
    return {name: round(float(value), 1) for name, value in zip(_SHARES, found, strict=True)}
