"""Pictures, series and groups that lie in two splits, or have two labels."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from itertools import combinations
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.data_set import SPLITS, DataSet
from visionkit.checking.twins import Twins
from visionkit.data.findings import Finding

__all__ = ["check_bursts", "check_groups", "check_twins"]

_CODES = {("same",): "twins-across", ("near",): "near-twins-across", ("mirrored", "cropped"): "changed-twins-across"}
_WITHIN = {("same", "near"): "twins", ("mirrored", "cropped"): "changed-twins"}
_SECONDS = 2
_NUMBER = re.compile(r"[-_. ]*\d+$")


def check_twins(data: DataSet) -> list[Finding]:
    """Findings on pictures that are nearly the same, of a deep check."""
    if data.pixels is None:
        return []
    twins, split = data.twins, data.files.split
    across = split[twins.first] != split[twins.second]
    findings = list[Finding]()
    for kinds, code in _CODES.items():
        of_kind = twins.select(across).of(*kinds)
        for other, later in combinations(range(len(SPLITS)), 2):
            findings += _pairs(data, code, of_kind, later, other)
    for kinds, code in _WITHIN.items():
        of_kind = twins.select(~across).of(*kinds)
        for number in range(len(SPLITS)):
            findings += _pairs(data, code, of_kind, number, number)
    return [*findings, *_two_labels(data, twins)]


def _pairs(data: DataSet, code: str, twins: Twins, split: int, other: int) -> list[Finding]:
    """A finding on the pairs of two splits, counted by the images of the later one."""
    of_split = data.files.split
    one = (of_split[twins.first] == split) & (of_split[twins.second] == other)
    swapped = (of_split[twins.second] == split) & (of_split[twins.first] == other) & ~one
    first = numpy.concatenate([twins.first[one], twins.second[swapped]])
    second = numpy.concatenate([twins.second[one], twins.first[swapped]])
    if split == other:
        first, second = second, first  # the later file is the copy
    _, index = numpy.unique(first, return_index=True)
    places = [f"{a} and {b}" for a, b in zip(_names(data, first[index]), _names(data, second[index]), strict=True)]
    return Finding.of(code, places, split=SPLITS[split], other=SPLITS[other])


def _names(data: DataSet, rows: NDArray[Any]) -> list[str]:
    return data.files.places(rows)


def _two_labels(data: DataSet, twins: Twins) -> list[Finding]:
    labels = data.labels
    if labels is None:
        return []
    pairs = twins.of("same", "near")
    differ = labels[pairs.first] != labels[pairs.second]
    first, second = _names(data, pairs.first[differ]), _names(data, pairs.second[differ])
    return Finding.of("twins-two-labels", [f"{a} and {b}" for a, b in zip(first, second, strict=True)])


def check_bursts(data: DataSet) -> list[Finding]:
    """Findings on photos of two splits that were taken at nearly the same time."""
    files = data.files
    rows = numpy.flatnonzero((files.split >= 0) & (files.records["taken"] > 0))
    order = rows[numpy.argsort(files.records["taken"][rows], kind="stable")]
    gaps = numpy.diff(files.records["taken"][order])
    split = files.split[order]
    near = numpy.flatnonzero((gaps <= _SECONDS) & (split[1:] != split[:-1]))
    findings = list[Finding]()
    for other, later in combinations(range(len(SPLITS)), 2):
        pairs = [
            (order[i + 1], order[i]) if split[i + 1] == later else (order[i], order[i + 1])
            for i in near.tolist()
            if {int(split[i]), int(split[i + 1])} == {other, later}
        ]
        places = (
            [
                f"{a} and {b}"
                for a, b in zip(*(_names(data, numpy.array(c)) for c in zip(*pairs, strict=True)), strict=True)
            ]
            if pairs
            else []
        )
        findings += Finding.of("bursts-across", places, split=SPLITS[later], other=SPLITS[other])
    return findings


def check_groups(data: DataSet) -> list[Finding]:
    """Findings on names that begin alike in two splits, as those of one patient or film do."""
    files = data.files
    rows = numpy.flatnonzero(files.split >= 0)
    if not len(rows) or getattr(data.source, "group_by", None) is not None:
        return []
    stems = [os.path.splitext(name.rpartition("/")[2])[0] for name in _names(data, rows)]
    prefixes = [_NUMBER.sub("", stem) if _NUMBER.search(stem) else "" for stem in stems]
    sizes = Counter(prefix for prefix in prefixes if prefix)
    large = {prefix for prefix, count in sizes.items() if count >= 3 and any(map(str.isdigit, prefix))}
    if len(large) < 3 or sum(sizes[prefix] for prefix in large) < 0.8 * len(rows):
        return []
    members: dict[str, set[int]] = defaultdict(set)
    for prefix, split in zip(prefixes, files.split[rows].tolist(), strict=True):
        members[prefix].add(split)
    findings = list[Finding]()
    for other, later in combinations(range(len(SPLITS)), 2):
        shared = {prefix for prefix in large if {other, later} <= members[prefix]}
        of_later = [
            name
            for name, prefix, split in zip(_names(data, rows), prefixes, files.split[rows].tolist(), strict=True)
            if split == later and prefix in shared
        ]
        if of_later:
            findings += Finding.of(
                "groups-across", of_later, split=SPLITS[later], other=SPLITS[other], example=min(shared),
                pattern=r"([^/]*?)[-_. ]*\d+\.\w+$",
            )  # fmt: skip
    return findings
