"""What a case is, and the entries of the library that cases go through."""

import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from visionkit.config_files import read_group_file
from visionkit.console import Printer
from visionkit.data import VisionDataModule
from visionkit.data.image_header import read_size
from visionkit.data.images import load_image
from visionkit.data.sources import parse_source
from visionkit.registry import load
from visionkit.tasks.info import TASKS

CANARY = "canary"
"""The file in a case's folder that appears if a crafted file has had code run."""

SECRET = "canary-2f1d7c"
"""The content of the file ``secret`` in a case's folder, which no message may show."""

Enter = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One crafted input.

    Attributes:
        family: The kind of file.
        name: What is wrong with it.
        make: Writes the files below a folder; what is read lies in its folder ``data``.
        enter: Reads them as the library does.
    """

    family: str
    name: str
    make: Enter
    enter: Enter


Family = tuple[Callable[[], Iterator[Case]], Callable[[random.Random], Case]]
"""A family's cases made by hand, and a function that damages a valid file at random."""


def data_set(kind: str, task: str, **changes: Any) -> Enter:
    """Reads a data set as training does: checks, splits, decoding, two batches of each split, and its notes."""

    def enter(folder: Path) -> None:
        values = {"root": str(folder / "data"), "image_size": 32, "num_workers": 0, "cache_mb": 64, **changes}
        info = TASKS[task]
        source = parse_source({**read_group_file("dataset", kind), **values}).for_target(info.target)
        source.check()
        reader = load(info.batch_reader)
        datamodule = VisionDataModule(source, target=info.target, batch_reader=reader, batch_size=2, seed=0)
        datamodule.setup("fit")
        for loader in (datamodule.train_dataloader(), datamodule.val_dataloader()):
            for _ in islice(loader, 2):
                pass
        Printer().print(*datamodule.info.class_names, *datamodule.notes)

    return enter


def one_image(name: str) -> Enter:
    """Reads an image as prediction does."""

    def enter(folder: Path) -> None:
        read_size(folder / "data" / name)
        load_image(folder / "data" / name)

    return enter


def in_turn(*entries: Enter) -> Enter:
    """Goes through several entries; what one refuses the next may still take."""
    from visionkit.errors import UserError

    def enter(folder: Path) -> None:
        refused = None
        for entry in entries:
            try:
                entry(folder)
            except UserError as error:
                refused = error
        if refused is not None:
            raise refused

    return enter


def picture(
    size: tuple[int, int] = (24, 20), mode: str = "RGB", kind: str = "PNG", seed: int = 0, **options: Any
) -> bytes:
    """A small valid image file, width and height given."""
    pixels = numpy.random.RandomState(seed).randint(0, 256, (size[1], size[0], 4)).astype(numpy.uint8)
    image = Image.fromarray(pixels, "RGBA").convert("RGB").convert(mode) if mode != "RGBA" else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


Content = bytes | Callable[[], bytes]
"""What a file holds; a function makes it only when its case is due, for what is large."""


def write(path: Path, content: Content) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content() if callable(content) else content)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Bytes with some changed, left out, doubled or made extreme."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = draw.randrange(len(data) + 1)
        length = draw.choice((1, 1, 2, 4, 64))
        match draw.randrange(5):
            case 0:
                data[at : at + length] = draw.randbytes(length)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * draw.choice((1, 2, 50))
            case 3:
                data[at : at + length] = draw.choice((b"\xff", b"\x00", b"\x7f")) * length
            case _:
                del data[max(at, 1) :]
    return bytes(data)


NASTY: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    1e9,
    -1e9,
    1e300,
    float("nan"),
    float("inf"),
    2**63,
    -(2**63) - 1,
    10**400,
    "",
    "x" * 70_000,
    "\x1b[2J\x1b]0;x\x07",
    "a\r\nb\u202e",
    "../../canary",
    "/etc/passwd",
    "$x^{",
    "=cmd()",
    "\x00",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    [[[[[[[[1]]]]]]]],
    {"a": 1},
    [float("nan")] * 8,
    [1e300] * 6,
    [0] * 5,
    "1",
    "NaN",
    ["1", "2", "3", "4"],
)


def mutated(value: Any, draw: random.Random) -> Any:
    """A JSON value with one part replaced by a nasty one, left out, renamed or doubled."""
    if isinstance(value, (dict, list)) and value and draw.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw.choice(keys)
        copy: Any = dict(value) if isinstance(value, dict) else list(value)
        action = draw.random()
        if action < 0.1:
            del copy[key]
        elif action < 0.15 and isinstance(copy, dict):
            copy[str(draw.choice(NASTY))[:100]] = copy.pop(key)
        elif action < 0.2 and isinstance(copy, list):
            copy.append(copy[key])
        else:
            copy[key] = mutated(copy[key], draw)
        return copy
    return draw.choice(NASTY)
