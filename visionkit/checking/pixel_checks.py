"""What the pictures of a set show, each beside the others."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.data_set import DataSet
from visionkit.checking.file_record import MODES, Fault
from visionkit.checking.outliers import deviations
from visionkit.data.findings import Finding

__all__ = ["check_kinds", "check_pixels", "check_sizes"]

_FAR = 5.0
"""Typical deviations from the median."""
_FEW = 20
"""Of fewer images nothing is said of those that differ."""
_LEAST = {"mean": 8.0, "sharpness": 0.35, "entropy": 0.35, "aspect": 0.05, "size": 0.2}
"""The smallest typical deviations: of grey values; of the logarithm of sharpness; of bits; of the logarithms of the
ratio of sides, and of the number of pixels."""
_GREY = 1.5
"""Mean difference of two channels up to which a picture is grey."""
_CONSTANT = 2.0
_RARE = 0.5
_REDUCED = 4.0


def check_kinds(data: DataSet) -> list[Finding]:
    """Findings on images of another kind than others: turned, transparent, of inks, palettes or another depth."""
    files, read = data.files, data.files.split >= 0
    modes = files.records["mode"]
    of_mode = {name: read & (modes == MODES.index(name)) for name in ("CMYK", "P")}
    findings = [
        *Finding.of("image-exif", files.places(read & (files.records["orientation"] > 1))),
        *Finding.of("image-alpha", files.places(read & files.having(Fault.ALPHA) & ~of_mode["P"])),
        *Finding.of("image-cmyk", files.places(of_mode["CMYK"])),
        *Finding.of("image-palette", files.places(of_mode["P"])),
    ]
    is_seen = read & files.is_seen
    deep = is_seen & files.having(Fault.DEEP)
    return [*findings, *_minority(data, "depths-mixed", deep, is_seen & ~deep, "more than 8 bits", "8 bits")]


def _minority(
    data: DataSet, code: str, one: NDArray[Any], other: NDArray[Any], name: str, other_name: str
) -> list[Finding]:
    """A finding on the fewer of two kinds, if there are both."""
    if not one.any() or not other.any():
        return []
    fewer, kind, others = (one, name, other_name) if one.sum() <= other.sum() else (other, other_name, name)
    return Finding.of(code, data.files.places(fewer), kind=kind, others=others)


def check_sizes(data: DataSet) -> list[Finding]:
    """Findings on images of odd sizes, for the set and for the network."""
    files = data.files
    rows = numpy.flatnonzero((files.split >= 0) & files.is_seen)
    if not len(rows):
        return []
    height, width = (files.records[name][rows].astype(numpy.float64) for name in ("height", "width"))
    findings = list[Finding]()
    if len(rows) >= _FEW:
        aspect = numpy.abs(deviations(numpy.log(width / height), least=_LEAST["aspect"]))
        size = numpy.abs(deviations(numpy.log(width * height), least=_LEAST["size"]))
        findings += Finding.of("aspect-odd", files.places(rows[aspect > _FAR]))
        findings += Finding.of("size-odd", files.places(rows[size > _FAR]))
    if data.stride:
        tiny = rows[numpy.minimum(height, width) < data.stride]
        findings += Finding.of("image-tiny", files.places(tiny), stride=str(data.stride))
    wanted = min(data.info.image_size) if data.info is not None else 0
    factor = float(numpy.median(numpy.minimum(height, width))) / max(wanted, 1)
    if wanted and factor >= _REDUCED:
        findings.append(Finding.counted("detail-lost", len(rows), factor=f"{factor:.1f}"))
    return findings


def check_pixels(data: DataSet) -> list[Finding]:
    """Findings on what pictures show, of a deep check."""
    if data.pixels is None:
        return []
    files, pixels, read = data.files, data.pixels, data.files.split >= 0
    is_whole = ~files.having(Fault.TRUNCATED | Fault.BROKEN_HEADER)
    findings = [
        *Finding.of("pixels-unreadable", files.places(read & files.is_seen & is_whole & ~pixels["is_read"])),
        *Finding.of("pixels-broken", files.places(pixels["is_broken"] & is_whole)),
    ]
    rows = numpy.flatnonzero(read & pixels["is_read"])
    constant = rows[pixels["range"][rows] <= _CONSTANT]
    findings += Finding.of("image-constant", files.places(constant))
    rows = numpy.setdiff1d(rows, constant)
    seen = pixels[rows]
    grey = numpy.zeros(len(files), dtype=bool)
    coloured = grey.copy()
    grey[rows], coloured[rows] = seen["colour"] <= _GREY, seen["colour"] > _GREY
    if data.info is None or data.info.in_channels == 3:
        findings += _minority(data, "colours-mixed", grey, coloured, "grey", "in colour")
    if len(rows) < _FEW:
        return findings
    mean = deviations(seen["mean"], least=_LEAST["mean"])
    sharpness = deviations(numpy.log(seen["sharpness"] + 1e-4), least=_LEAST["sharpness"])
    entropy = deviations(seen["entropy"], least=_LEAST["entropy"])
    return [
        *findings,
        *Finding.of("image-dark", files.places(rows[mean < -_FAR])),
        *Finding.of("image-bright", files.places(rows[mean > _FAR])),
        *Finding.of("image-blurred", files.places(rows[sharpness < -_FAR])),
        *Finding.of("image-plain", files.places(rows[entropy < -_FAR])),
    ]
