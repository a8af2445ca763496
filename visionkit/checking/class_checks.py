"""The classes of each split: which there are, how many of each, and whether the splits are of one mixture."""

from __future__ import annotations

import math
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.data_set import DataSet
from visionkit.data.findings import Finding
from visionkit.metrics.intervals import CHOICE_HALF_WIDTH, half_width

__all__ = ["check_balance", "check_classes", "check_splits"]

_RARE = {"image": 10, "object": 20}
_UNEQUAL = 20
_CHANCE = 0.001
_EXPECTED = 5.0
"""The fewest that a class must be expected to have for the chi-squared test to hold (Cochran 1954)."""
_EMPTY = 0.5


def check_classes(data: DataSet) -> list[Finding]:
    """Findings on classes that are missing in some splits, or in all."""
    counts = data.class_counts
    if data.info is None or "train" not in counts:
        return []
    names, train = numpy.array(data.info.class_names, dtype=object), counts["train"] > 0
    total = sum(counts.values())
    findings = Finding.of("class-unused", names[total == 0].tolist())
    for split in ("val", "test"):
        if split in counts:
            present = counts[split] > 0
            findings += Finding.of("class-only-elsewhere", names[present & ~train].tolist(), split=split)
            findings += Finding.of("class-only-in-train", names[train & ~present].tolist(), split=split)
    said = {finding.code for finding in data.findings}
    repeated = {"class-only-in-train": "class-not-in-split", "class-only-elsewhere": "class-untrained"}
    return [finding for finding in findings if repeated.get(finding.code) not in said]


def check_balance(data: DataSet) -> list[Finding]:
    """Findings on classes of few, and on classes of very different sizes."""
    train = data.class_counts.get("train")
    if data.info is None or train is None:
        return []
    thing = "image" if data.target in ("label", "label_set") else "object"
    names, present = data.info.class_names, numpy.flatnonzero(train)
    if data.target == "mask" or len(present) < 2:
        return []
    rare = [f"{names[i]} ({train[i]:,})" for i in present.tolist() if train[i] < _RARE[thing]]
    findings = Finding.of("class-rare", rare, fewest=str(_RARE[thing]), things=f"{thing}s")
    most, least = int(train.argmax()), int(present[train[present].argmin()])
    if train[most] >= _UNEQUAL * train[least]:
        ratio = round(float(train[most] / train[least]))
        findings.append(
            Finding.counted("classes-unequal", ratio, most=names[most], least=names[least], things=f"{thing}s")
        )
    return findings


def check_splits(data: DataSet) -> list[Finding]:
    """Findings on splits of another mixture than train, of too few images, and without objects."""
    findings = list[Finding]()
    for split, samples in data.splits.items():
        if split != "train" and data.target != "mask":
            findings += _shift(data, split)
        if split != "train":
            half = half_width(max(len(samples), 1), of_accuracy=data.target == "label")
            if half > CHOICE_HALF_WIDTH:
                findings.append(Finding.counted("split-small", len(samples), split=split, points=f"{100 * half:.1f}"))
        if samples.annotations is not None and len(samples):
            share = float((samples.annotations.counts == 0).mean())
            if share > _EMPTY:
                findings.append(Finding.counted("images-empty", math.floor(100 * share), split=split))
    return findings


def _shift(data: DataSet, split: str) -> list[Finding]:
    """The classes whose share of a split differs from that of train by more than chance."""
    from scipy.stats import chi2

    counts = data.class_counts
    if data.info is None or "train" not in counts or split not in counts:
        return []
    train, other = counts["train"].astype(numpy.float64), counts[split].astype(numpy.float64)
    if not train.sum() or not other.sum():
        return []
    statistic = _two_by_two(train, other)
    limit = chi2.isf(_CHANCE / max(len(train), 1), df=1)
    rows = numpy.flatnonzero(statistic > limit)
    shares = [100 * counts / counts.sum() for counts in (train, other)]
    places = [
        f"{data.info.class_names[i]} ({shares[0][i]:.1f} % of train, {shares[1][i]:.1f} %)" for i in rows.tolist()
    ]
    return Finding.of("split-shift", places, split=split)


def _two_by_two(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Pearson's statistic of each class against all others in two splits; 0 where few are expected."""
    table = numpy.stack([one, one.sum() - one, other, other.sum() - other])  # (4, K)
    rows = numpy.stack([table[:2].sum(0), table[2:].sum(0)])
    columns = numpy.stack([table[0] + table[2], table[1] + table[3]])
    total = table.sum(0)
    expected = numpy.stack([rows[0] * columns[0], rows[0] * columns[1], rows[1] * columns[0], rows[1] * columns[1]])
    expected = expected / total
    statistic: NDArray[Any] = ((table - expected) ** 2 / numpy.maximum(expected, 1e-9)).sum(0)
    return numpy.where(expected.min(0) >= _EXPECTED, statistic, 0.0)
