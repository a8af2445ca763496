"""The range of values of images of more than 8 bits or of floats, and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from visionkit.data.findings import Finding
from visionkit.data.images import ValueSample

__all__ = ["Measured", "Range", "range_findings", "range_of"]

Range = tuple[float, float]

_CORE = (0.0005, 0.9995)
_MAX_CORE = 0.01
_MIN_FLAT = 0.001
_MAX_CLIPPED = 0.01


class Measured(NamedTuple):
    """What was measured of some images of a split.

    Attributes:
        deep: The values of images of more than 8 bits or of floats, by name.
        eight_bits: The names of the others.
    """

    deep: Mapping[str, ValueSample]
    eight_bits: Sequence[str]


def range_of(train: Measured) -> Range | None:
    """The smallest and the largest value of the training images; None if all are of 8 bits."""
    if not train.deep:
        return None
    low, high = (min(s.low for s in train.deep.values()), max(s.high for s in train.deep.values()))
    return low, high if high > low else low + 1


def range_findings(splits: Mapping[str, Measured], value_range: Range | None) -> list[Finding]:
    """What to say of the range: how it was found, and which images it does not suit.

    Args:
        splits: What was measured of each split, train among them.
        value_range: That of train, the result of `range_of`.
    """
    train, others = splits["train"], {split: found for split, found in splits.items() if split != "train"}
    if value_range is None:
        return [
            finding
            for split, found in others.items()
            for finding in Finding.of("depth-differs", found.deep, split=split)
        ]
    low, high = value_range
    findings = Finding.of("value-range", train.deep, low=f"{low:g}", high=f"{high:g}") + _doubts(train, value_range)
    for split, found in splits.items():
        findings += Finding.of("depth-mixed", found.eight_bits, split=split)
    for split, found in others.items():
        clipped = [name for name, sample in found.deep.items() if _clipped(sample, value_range) > _MAX_CLIPPED]
        findings += Finding.of("values-clipped", clipped, split=split, low=f"{low:g}", high=f"{high:g}")
    return findings


def _clipped(sample: ValueSample, value_range: Range) -> float:
    """The fraction of values that lie beyond a range."""
    low, high = value_range
    return float(((sample.values < low) | (sample.values > high)).double().mean())


def _doubts(train: Measured, value_range: Range) -> list[Finding]:
    """That few values far from all others make the range: pixels without data, or broken ones."""
    low, high = value_range
    pool = torch.cat([sample.values for sample in train.deep.values()]).double()
    rest = pool[(pool > low) & (pool < high)]
    if not len(rest):
        return []
    first, last = torch.quantile(rest, torch.tensor(_CORE, dtype=torch.float64)).tolist()
    span = last - first
    is_no_data = low < 0 <= first and first - low > span and float((pool == low).double().mean()) >= _MIN_FLAT
    if span >= _MAX_CORE * (high - low) and not is_no_data:
        return []
    far = [name for name, sample in train.deep.items() if sample.low < first - span or sample.high > last + span]
    return Finding.of(
        "value-range-doubtful", far, low=f"{low:g}", high=f"{high:g}", first=f"{first:.4g}", last=f"{last:.4g}"
    )
