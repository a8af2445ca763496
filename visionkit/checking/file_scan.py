"""A look at an image file: its header, its end, and if wanted its pixels; without torch, in any process."""

from __future__ import annotations

import calendar
import errno
import os
import re
import stat
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy
from numpy.typing import NDArray

from visionkit.checking.file_ends import end_fault
from visionkit.checking.file_record import FORMATS, MODES, RECORD, Fault
from visionkit.data.image_header import header_of, identify_image
from visionkit.data.image_modes import has_alpha, num_bands

__all__ = ["scan_files"]

_EXIF, _TAKEN, _CHANGED = 0x8769, 0x9003, 0x0132  # tags
_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_DENIED = {errno.EACCES, errno.EPERM}
_FORMAT_NUMBER = {name: number for number, name in enumerate(FORMATS)}
_MODE_NUMBER = {name: number for number, name in enumerate(MODES)}
_OTHER_FORMS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"RIFF", b"BM", b"\x00\x00\x00")
"""How files begin that are pictures, of which Pillow may lack a decoder here."""


def scan_files(paths: Sequence[bytes]) -> NDArray[Any]:
    """A record of each file, `RECORD` (N,), from its header and its end."""
    records = numpy.zeros(len(paths), RECORD)
    for row, path in enumerate(paths):
        _scan(path, records[row])
    return records


def _scan(path: bytes, record: Any) -> None:
    try:
        status = os.stat(path)
        record["bytes"], record["time"] = status.st_size, status.st_mtime_ns
        if not stat.S_ISREG(status.st_mode):
            record["faults"] = Fault.NO_FILE
        elif not status.st_size:
            record["faults"] = Fault.EMPTY
        else:
            with open(path, "rb") as file:
                record["faults"] = _look(file, path, record)
    except OSError as error:
        record["faults"] = Fault.DENIED if error.errno in _DENIED else Fault.MISSING


def _look(file: BinaryIO, path: bytes, record: Any) -> Fault:
    num_bytes = int(record["bytes"])
    start = file.read(32)
    file.seek(0)
    try:
        image = identify_image(file, os.fsdecode(path))
        header = header_of(image)
    except Exception:  # whatever a decoder raises of crafted bytes
        return _unidentified(start, num_bytes)
    record["height"], record["width"] = header.stored
    record["format"] = _FORMAT_NUMBER.get(image.format or "", 0)
    record["mode"] = _MODE_NUMBER.get(image.mode, 0)
    record["orientation"] = header.orientation
    faults = Fault.DEEP if header.deep else Fault(0)
    try:
        record["bands"] = min(num_bands(image), 255)
        record["taken"] = _taken(image)
        record["frames"] = min(int(getattr(image, "n_frames", 1)), 2**31 - 1)
        faults |= Fault.ALPHA if has_alpha(image) else Fault(0)
    except Exception:
        faults |= Fault.BROKEN_HEADER
    return faults | end_fault(file, image.format or "", num_bytes)


def _taken(image: Any) -> int:
    """When a photo was taken, in seconds of a calendar without time zones; 0 if its file does not say."""
    if "exif" not in image.info:
        return 0
    exif = image.getexif()
    text = exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_CHANGED) or ""
    found = _TIME.match(str(text))
    return calendar.timegm((*map(int, found.groups()),)) if found else 0  # type: ignore[arg-type]


def _unidentified(start: bytes, num_bytes: int) -> Fault:
    """Why the header of a file cannot be read."""
    if start[4:8] == b"ftyp":
        return Fault.NO_CODEC
    if start.startswith(_OTHER_FORMS):
        return Fault.BROKEN_HEADER if num_bytes > len(start) else Fault.TRUNCATED
    return Fault.NO_IMAGE
