"""The range of values of images that a person's data set gives."""

from __future__ import annotations

from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor

from visionkit.data.findings import Finding
from visionkit.data.image_error import ImageError
from visionkit.data.image_modes import is_deep
from visionkit.data.images import ValueSample
from visionkit.data.sources.python.items import ItemDataset
from visionkit.data.value_ranges import Measured, Range, range_findings, range_of

__all__ = ["find_range"]

_MAX_MEASURED = {"train": 300, "val": 100, "test": 100}
_MAX_SAMPLED = 4096
_USUAL = ((0.0, 1.0), (0.0, 255.0))


def find_range(splits: dict[str, ItemDataset], value_range: Range | None) -> tuple[Range | None, list[Finding]]:
    """The values that become 0 and 255, and what is said of them.

    Floats within 0 and 1, or else within 0 and 255, have this range, as `torchvision.transforms.ToTensor` and plain
    conversion give it; others that measured over at most 300 images of train, as files.

    Args:
        splits: The items of each split; a single one counts as train.
        value_range: What was configured; None measures it.

    Returns:
        The range, None where images are of uint8, and findings.
    """
    if value_range is not None:
        return value_range, []
    measured = {
        split: _measure(samples, _MAX_MEASURED.get(split, _MAX_MEASURED["train"])) for split, samples in splits.items()
    }
    first = "train" if "train" in measured else next(iter(measured))
    train, is_float = measured[first]
    found = range_of(train)
    if found is not None and is_float:
        found = next((usual for usual in _USUAL if usual[0] <= found[0] and found[1] <= usual[1]), found)
    named = {"train" if split == first else split: values for split, (values, _) in measured.items()}
    findings = range_findings(named, found)
    if found in _USUAL and is_float:
        findings = [finding for finding in findings if finding.code != "value-range-doubtful"]
    return found, findings


def _measure(samples: ItemDataset, limit: int) -> tuple[Measured, bool]:
    """What was measured of evenly spaced items, and whether their values are floats."""
    deep, eight_bits, is_float = dict[str, ValueSample](), list[str](), True
    for index in range(0, len(samples), -(-len(samples) // limit)):
        try:
            image = samples.item(index)[0]
        except ImageError:
            continue  # reading it will say so
        values = _deep_values(image)
        if values is None:
            eight_bits.append(samples.name(index))
            continue
        is_float = is_float and values.dtype.kind == "f"
        finite = values[numpy.isfinite(values)].astype(numpy.float32)
        if finite.size:
            step = -(-finite.size // _MAX_SAMPLED)
            sample = torch.from_numpy(finite[::step].copy())
            deep[samples.name(index)] = ValueSample(float(finite.min()), float(finite.max()), sample)
    return Measured(deep, eight_bits), is_float


def _deep_values(image: Any) -> Any:
    """The values of an image of other than 8 bits, an array; None for 8 bits."""
    if isinstance(image, Image.Image):
        return numpy.asarray(image) if is_deep(image) else None
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
    return None if image.dtype in (numpy.uint8, numpy.bool_) else image
