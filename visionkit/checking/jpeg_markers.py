"""The markers of a JPEG file (ITU-T T.81, annex B), from its start to the end of the picture; nothing is decoded."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["JpegEnd", "find_end"]

_END, _SCAN, _TEMPORARY = 0xD9, 0xDA, 0x01
_BETWEEN_SCANS = {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xD9, 0xFE, *range(0xE0, 0xF0)}
"""Markers that may follow the numbers of a scan: tables, another scan, comments, the end."""
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)


class JpegEnd(NamedTuple):
    """Where the picture of a JPEG file ends.

    Attributes:
        position: Behind its end-of-image marker; None if there is none.
        is_sound: Whether no marker stands where none may be, as in a file of which bytes were overwritten.
    """

    position: int | None
    is_sound: bool


def find_end(data: bytes) -> JpegEnd:
    """The end of the picture at the start of ``data``, which begins with a start-of-image marker."""
    position = 2
    while position + 4 <= len(data) or data[position : position + 2] == b"\xff\xd9":
        if data[position] != 0xFF:
            return JpegEnd(None, False)
        marker = data[position + 1]
        if marker == 0xFF:  # fill bytes
            position += 1
            continue
        if marker == _END:
            return JpegEnd(position + 2, True)
        if marker == _TEMPORARY or 0xD0 <= marker <= 0xD8:
            position += 2
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _SCAN:
            found = _MARKER.search(data, position)
            if found is None:
                return JpegEnd(None, True)
            position = found.start()
            if found[1][0] not in _BETWEEN_SCANS:
                return JpegEnd(None, False)
    return JpegEnd(None, True)
