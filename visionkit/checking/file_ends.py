"""Whether an image file is whole, by how its form says where it ends; nothing is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from visionkit.checking.file_record import Fault
from visionkit.checking.jpeg_markers import find_end

__all__ = ["end_fault"]

_TAIL = 65_536
_END_BYTES = 512
_END_MARK = b"\xff\xd9"
_PADDING = b"\0\n\r "
"""Bytes that programs append to fill up a block, or to end a line."""


def end_fault(file: BinaryIO, format: str, num_bytes: int) -> Fault:
    """`Fault.TRUNCATED` if the end of the picture is missing, `Fault.TRAILING` if something follows it, or nothing.

    Args:
        file: The opened file; its position is moved.
        format: Pillow's name of its form; of forms without a known end nothing is said.
        num_bytes: Its size.
    """
    look = _LOOKS.get(format)
    if look is None:
        return Fault(0)
    try:
        end = look(file, num_bytes)
    except (OSError, struct.error, ValueError):
        return Fault.TRUNCATED
    if end is None or end > num_bytes:
        return Fault.TRUNCATED
    if end == num_bytes:
        return Fault(0)
    file.seek(end)
    rest = file.read(min(num_bytes - end, _TAIL))
    return Fault.TRAILING if rest.strip(_PADDING) else Fault(0)


def _jpeg(file: BinaryIO, num_bytes: int) -> int | None:
    """Behind the end-of-image marker; that of a thumbnail within the header is none of the picture."""
    file.seek(max(0, num_bytes - _END_BYTES))
    if file.read(_END_BYTES).rstrip(_PADDING).endswith(_END_MARK):
        return num_bytes
    file.seek(0)
    found = find_end(file.read())
    if found.position is None and not found.is_sound:
        return num_bytes  # what it is a fault of, its pixels show
    return found.position


def _png(file: BinaryIO, num_bytes: int) -> int | None:
    """Behind the chunk IEND."""
    position = 8
    while position + 12 <= num_bytes:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += int(length) + 12
        if kind == b"IEND":
            return position
    return None


def _riff(file: BinaryIO, num_bytes: int) -> int | None:
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    end = int(length) + 8
    return end + end % 2 if end + end % 2 <= num_bytes else end


def _bmp(file: BinaryIO, num_bytes: int) -> int | None:
    file.seek(2)
    (length,) = struct.unpack("<I", file.read(4))
    return int(length) or num_bytes  # some programs write 0


def _gif(file: BinaryIO, num_bytes: int) -> int | None:
    """Behind the trailer, which is the last byte of a whole file but for what is appended."""
    file.seek(max(0, num_bytes - _TAIL))
    rest = file.read(_TAIL).rstrip(_PADDING)
    if not rest.endswith(b"\x3b"):
        return None
    return num_bytes


_LOOKS: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "JPEG": _jpeg, "MPO": _jpeg, "PNG": _png, "WEBP": _riff, "BMP": _bmp, "GIF": _gif,
}  # fmt: skip
