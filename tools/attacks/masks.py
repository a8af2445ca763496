"""Mask files: values, modes and sizes that masks do not have."""

import io
import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from attacks.case import Case, Content, damaged, data_set, picture, write

SIZE = (24, 20)


def crafted() -> Iterator[Case]:
    """One mask among good ones."""
    for name, content, changes in _contents():
        yield _case(name, content, changes)


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    return _case("damaged mask", damaged(_mask(numpy.zeros(SIZE[::-1], numpy.uint8)), draw), {})


def _case(name: str, content: Content | None, changes: dict[str, Any]) -> Case:
    return Case("masks", name, partial(_make, content), data_set("masks", "segment", val_fraction=0.3, **changes))


def _contents() -> Iterator[tuple[str, Content | None, dict[str, Any]]]:
    zeros = numpy.zeros(SIZE[::-1], numpy.uint8)
    noise = numpy.random.RandomState(0).randint(0, 256, SIZE[::-1]).astype(numpy.uint8)
    names = {"classes": ["a", "b"]}
    for changes in ({}, names):
        yield "values up to 65535", _mask(noise.astype(numpy.uint16) * 257), changes
        yield "values of 32 bits", _mask(noise.astype(numpy.int32) << 20, "TIFF"), changes
        yield "negative values", _mask(-noise.astype(numpy.int32), "TIFF"), changes
        yield "floats", _mask(noise.astype(numpy.float32) / 3, "TIFF"), changes
        yield "NaN", _mask(numpy.full(SIZE[::-1], numpy.nan, numpy.float32), "TIFF"), changes
        yield "256 values", _mask(noise), changes
        yield "nothing but 255", _mask(zeros + 255), changes
        for mode, kind in (
            ("1", "PNG"),
            ("RGBA", "PNG"),
            ("LA", "PNG"),
            ("P", "PNG"),
            ("RGB", "JPEG"),
            ("CMYK", "JPEG"),
        ):
            yield f"{mode} {kind}", picture(SIZE, mode, kind), changes
    yield "another size", _mask(numpy.zeros((3, 5), numpy.uint8)), {}
    yield "a huge size", lambda: _mask(numpy.zeros((12000, 12000), numpy.uint8)), {}
    yield "empty file", b"", {}
    yield "text", b"not a mask", {}
    yield "named pipe", None, {}
    for classes in (["\x1b[2J"], ["a"] * 300, [None], ["[bold]x"], ["a", "a"], []):
        yield f"classes {classes!r:.20}", _mask(zeros), {"classes": classes}
    for table in (
        {"0": "a", "999999": "b"},
        {"-1": "a"},
        {"1,2": "a"},
        {"300,0,0": "a"},
        {"x": "a"},
        {"9" * 400: "a"},
        {},
    ):
        yield f"class_map {table!r:.30}", _mask(zeros), {"class_map": table}


def _make(content: Content | None, folder: Path) -> None:
    for index in range(6):
        write(folder / "data" / "images" / f"{index}.png", picture(SIZE, seed=index))
        values = numpy.zeros(SIZE[::-1], numpy.uint8)
        values[:10] = 1
        write(folder / "data" / "masks" / f"{index}.png", _mask(values))
    odd = folder / "data" / "masks" / "0.png"
    if content is None:
        odd.unlink()
        os.mkfifo(odd)
    else:
        write(odd, content)


def _mask(values: numpy.ndarray[Any, Any], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()
