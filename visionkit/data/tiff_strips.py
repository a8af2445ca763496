"""TIFF files read some rows at a time: a run of their strips or tiles is a small TIFF file of its own."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["TiffStrips"]

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _BANDS, _PLANAR = 256, 257, 258, 259, 262, 277, 284
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_KEPT = (
    _BITS, _COMPRESSION, _PHOTOMETRIC, 266, _BANDS, _PLANAR, 292, 293, 317, 320, 338, 339, 347, 529, 530, 531, 532,
)  # fmt: skip
"""The tags that say how values are coded (TIFF 6.0); those of profiles and positions are left out."""
_RAW, _OLD_JPEG, _YCBCR = 1, 6, 6
_MIN_ROWS = 64


class _Run(NamedTuple):
    """Consecutive strips, or one row of tiles: its rows, and position and length of each part in the file."""

    top: int
    bottom: int
    parts: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class TiffStrips:
    """The runs of strips or tiles of a file.

    Attributes:
        path: The file.
        tags: The tags that all runs share, with their types.
        part_rows: The rows of a strip or tile.
        tile_width: The columns of a tile; None for strips, which are as wide as the image.
        width: That of the image.
        runs: From the top down.
    """

    path: Path
    tags: dict[int, tuple[int, Any]]
    part_rows: int
    tile_width: int | None
    width: int
    runs: Sequence[_Run]

    @classmethod
    def of(cls, image: Any, path: str | Path) -> TiffStrips | None:
        """Those of an opened image of Pillow's; None if it is no TIFF file, or its parts need each other."""
        tags = getattr(image, "tag_v2", None)
        if tags is None or tags.get(_PLANAR, 1) != 1 or tags.get(_COMPRESSION, _RAW) == _OLD_JPEG:
            return None
        if tags.get(_COMPRESSION, _RAW) == _RAW and tags.get(_PHOTOMETRIC) == _YCBCR:
            return None
        width, height = image.size
        kept = {tag: (tags.tagtype[tag], tags[tag]) for tag in _KEPT if tag in tags}
        if _TILE_OFFSETS in tags:
            tile_width, rows = int(tags[_TILE_WIDTH]), int(tags[_TILE_LENGTH])
            runs = _runs(_parts(tags, _TILE_OFFSETS, _TILE_BYTES), rows, height, per_run=-(-width // tile_width))
            return cls(Path(path), kept, rows, tile_width, width, runs) if runs else None
        parts, rows = _parts(tags, _STRIP_OFFSETS, _STRIP_BYTES), min(int(tags.get(_ROWS_PER_STRIP, height)), height)
        if tags.get(_COMPRESSION, _RAW) == _RAW and len(parts) == 1:
            parts, rows = _cut(parts[0], height, row_bytes=-(-width * _bits(tags) // 8)), _MIN_ROWS
        runs = _runs(parts, rows, height, per_run=1)
        return cls(Path(path), kept, rows, None, width, _joined(runs, rows)) if runs else None

    @property
    def max_rows(self) -> int:
        """The rows of the highest run."""
        return max(run.bottom - run.top for run in self.runs)

    def encoded(self, index: int) -> io.BytesIO:
        """A run as a TIFF file in memory."""
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        run = self.runs[index]
        with open(self.path, "rb") as file:
            order = file.read(2)
            contents = []
            for offset, length in run.parts:
                file.seek(offset)
                contents.append(file.read(length))
        ifd = ImageFileDirectory_v2(order + (b"*\0" if order == b"II" else b"\0*") + bytes(4))
        for tag, (kind, value) in self.tags.items():
            ifd.tagtype[tag] = kind
            ifd[tag] = value
        ifd[_WIDTH], ifd[_LENGTH] = self.width, run.bottom - run.top
        lengths = tuple(map(len, contents))
        starts = tuple(itertools.accumulate(lengths[:-1], initial=0))
        result = io.BytesIO()
        if self.tile_width is None:
            ifd[_ROWS_PER_STRIP], ifd[_STRIP_BYTES], ifd[_STRIP_OFFSETS] = self.part_rows, lengths, starts
        else:
            for tag in (_TILE_OFFSETS, _TILE_BYTES):
                ifd.tagtype[tag] = 4
            ifd[_TILE_WIDTH], ifd[_TILE_LENGTH], ifd[_TILE_BYTES] = self.tile_width, self.part_rows, lengths
            ifd[_TILE_OFFSETS] = starts
            begin = ifd.save(io.BytesIO())  # Pillow moves the offsets of strips behind the tags, and not those of tiles
            ifd[_TILE_OFFSETS] = tuple(begin + start for start in starts)
        ifd.save(result)
        result.write(b"".join(contents))
        result.seek(0)
        return result


def _bits(tags: Any) -> int:
    """The bits of a pixel."""
    bits = tags.get(_BITS, (1,))
    count = int(tags.get(_BANDS, 1))
    return sum(bits) if len(bits) == count else int(bits[0]) * count


def _parts(tags: Any, offsets: int, lengths: int) -> list[tuple[int, int]]:
    """Position and length of all strips or tiles; empty if the file does not say both."""
    starts, counts = (
        value if isinstance(value := tags.get(tag, ()), tuple) else (value,) for tag in (offsets, lengths)
    )
    return list(zip(starts, counts, strict=True)) if len(starts) == len(counts) else []


def _runs(parts: Sequence[tuple[int, int]], rows: int, height: int, *, per_run: int) -> list[_Run]:
    """One run for each strip or row of tiles; empty if there are fewer or more than the image has."""
    count = -(-height // rows)
    if len(parts) != count * per_run:
        return []
    return [_Run(i * rows, min((i + 1) * rows, height), parts[i * per_run : (i + 1) * per_run]) for i in range(count)]


def _cut(part: tuple[int, int], height: int, *, row_bytes: int) -> list[tuple[int, int]]:
    """An uncompressed image as strips of `_MIN_ROWS` rows; empty if it is shorter than its rows."""
    offset, length = part
    if length < height * row_bytes:
        return []
    return [(offset + top * row_bytes, min(_MIN_ROWS, height - top) * row_bytes) for top in range(0, height, _MIN_ROWS)]


def _joined(runs: Sequence[_Run], rows: int) -> list[_Run]:
    """Runs of low strips joined to such of at least `_MIN_ROWS` rows."""
    step = max(1, -(-_MIN_ROWS // rows))
    groups = [runs[start : start + step] for start in range(0, len(runs), step)]
    return [_Run(group[0].top, group[-1].bottom, [part for run in group for part in run.parts]) for group in groups]
