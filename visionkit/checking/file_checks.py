"""What the names, headers and ends of files say."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy

from visionkit.checking.data_set import DataSet
from visionkit.checking.file_record import FORMATS, Fault
from visionkit.data.findings import Finding
from visionkit.data.sources.file_source import FileSource

__all__ = ["check_headers", "check_names"]

_CODES = {
    Fault.MISSING | Fault.NO_FILE: "file-gone",
    Fault.EMPTY: "file-empty",
    Fault.NO_IMAGE: "file-not-image",
    Fault.NO_CODEC: "codec-missing",
    Fault.TRUNCATED: "file-truncated",
    Fault.TRAILING: "file-trailing",
    Fault.BROKEN_HEADER: "file-header-broken",
}
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg", ".mpo"), "PNG": (".png",),
    "TIFF": (".tif", ".tiff"), "BMP": (".bmp", ".dib"), "DIB": (".dib", ".bmp"), "GIF": (".gif",),
    "WEBP": (".webp",), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"), "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"), "NPY": (".npy",),
}  # fmt: skip
_RESERVED = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)', re.IGNORECASE)
_MAX_NAME = 255
"""Of bytes, of most file systems."""


def check_headers(data: DataSet) -> list[Finding]:
    """Findings on image files by what was seen of each."""
    files, findings = data.files, list[Finding]()
    denied = files.places(files.having(Fault.DENIED))
    denied += [os.fsdecode(name) for name in (data.tree.unread if data.tree else ())]
    findings += Finding.of("file-denied", denied)
    for faults, code in _CODES.items():
        findings += Finding.of(code, files.places(files.having(faults)))
    findings += _suffixes(data)
    read = files.split >= 0
    findings += Finding.of("image-frames", files.places(read & (files.records["frames"] > 1)))
    if read.any():
        findings += Finding.of("image-unread", files.places(~read & files.is_seen))
    if isinstance(data.source, FileSource):
        pixels = files.records["height"].astype(numpy.int64) * files.records["width"]
        is_large = pixels > data.source.max_pixels
        findings += Finding.of("image-bomb", files.places(is_large), limit=str(data.source.max_pixels))
    return findings


def _suffixes(data: DataSet) -> list[Finding]:
    files = data.files
    rows, forms = list[int](), Counter[str]()
    for row in numpy.flatnonzero(files.is_seen).tolist():
        form = FORMATS[files.records["format"][row]]
        ending = os.path.splitext(os.fsdecode(files.names[row]))[1].lower()
        if ending and ending not in _ENDINGS.get(form, (ending,)):
            rows.append(row)
            forms[f"{form} named {ending}"] += 1
    said = ", ".join(f"{count:,} {form}" for form, count in forms.most_common(3))
    return Finding.of("suffix-differs", files.places(numpy.array(rows, dtype=numpy.int64)), forms=said) if rows else []


def check_names(data: DataSet) -> list[Finding]:
    """Findings on names, links and what systems leave in folders."""
    if data.tree is None:
        return []
    tree = data.tree
    return [
        *Finding.of("system-files", _text(tree.junk)),
        *Finding.of("link-loop", _text(tree.loops)),
        *Finding.of("names-case", _case_collisions([*tree.files, *tree.folders])),
        *Finding.of("name-unportable", [name for name in _text([*tree.files, *tree.folders]) if _is_unportable(name)]),
        *Finding.of("stem-repeated", _same_stems(data)),
    ]


def _text(names: Iterable[bytes]) -> list[str]:
    return sorted(os.fsdecode(name) for name in names)


def _case_collisions(names: Sequence[bytes]) -> list[str]:
    """Pairs of names that are one where capital letters do not count."""
    folded = Counter(name.lower() for name in names if name.isascii())
    if len(folded) == sum(folded.values()):
        pairs = list[str]()
    else:
        first: dict[bytes, bytes] = {}
        pairs = [
            f"{os.fsdecode(first[key])} and {os.fsdecode(name)}"
            for name in sorted(names)
            if (key := name.lower()) in first or first.setdefault(key, name) is not name
        ]
    texts: dict[str, str] = {}
    for text in _text(name for name in names if not name.isascii()):
        folded_text = unicodedata.normalize("NFC", text).casefold()
        if folded_text in texts:
            pairs.append(f"{texts[folded_text]} and {text}")
        texts.setdefault(folded_text, text)
    return pairs


def _is_unportable(name: str) -> bool:
    base = name.rpartition("/")[2]
    if any("\udc80" <= character <= "\udcff" for character in base):  # bytes that are no UTF-8
        return True
    return (
        _RESERVED.search(base) is not None
        or len(os.fsencode(base)) > _MAX_NAME
        or unicodedata.normalize("NFC", base) != base
    )


def _same_stems(data: DataSet) -> list[str]:
    """Images of the splits whose name another of the same folder has with another ending."""
    first: dict[str, str] = {}
    pairs = list[str]()
    for name in sorted(data.files.places(data.files.split >= 0)):
        stem, ending = os.path.splitext(name)
        if not ending:
            continue
        if stem in first:
            pairs.append(f"{first[stem]} and {name}")
        first.setdefault(stem, name)
    return pairs
