"""Names of folders and files: control characters, other encodings, commands, links in circles."""

import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from attacks.case import Case, data_set, picture, write

NAMES = (
    b"\x1b[2J\x1b[H",
    b"\x1b]0;title\x07",
    b"a\rb",
    b"a\nb",
    b"\xe2\x80\xae",
    b"\xe2\x80\x8b",
    b"\xc2\x9b2J",
    b"\xff\xfe\xfd",
    b"\xed\xa0\x80",
    b"x" * 250,
    b"$(touch canary)",
    b"`touch canary`",
    b"; touch canary;",
    b"=cmd|' /C calc'!A0",
    b"+1",
    b"-rf",
    b"@SUM",
    b"\t=1",
    b"[bold]",
    b"[/]",
    b"[link=file:///etc/passwd]x[/link]",
    b":smile:",
    b"${oc.env:HOME}",
    b"$x^{\\frac",
    b"\\_$",
    b"%s%n",
    b"{0.__class__}",
    b" ",
    b"...",
    b"~",
    b"con",
    b"a" + "\u0301".encode() * 100,
    "\u0430".encode(),
    b"'\"",
    b"train",
    b"None",
    b"0",
    b"1e400",
    b"*",
    b"?",
    b"\x7f",
)


def crafted() -> Iterator[Case]:
    """A class folder, or an image, of such a name."""
    for name in NAMES:
        yield _case("class", name, 0)
        yield _case("file", name, 1)
        yield _case("split", name, 2)
    for name, make in (("a link to itself", _loop), ("two links in a circle", _circle), ("1,000 folders deep", _deep)):
        yield Case("folders", name, partial(_with_good, make), _READ)


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    letters = draw.choices(b"abc\x1b\r\n\t\x01\x7f\x80\xff=$[]{}%\\ .", k=draw.choice((1, 3, 12, 80)))
    return _case("random", bytes(letters).strip(b".") or b"a", draw.randrange(3))


_READ = data_set("folder", "classify", val_fraction=0.3, test_fraction=0.0)


def _case(kind: str, name: bytes, place: int) -> Case:
    return Case("folders", f"{kind} {name!r:.30}", partial(_make, name, place), _READ)


def _make(name: bytes, place: int, folder: Path) -> None:
    _good(folder)
    root = os.fsencode(folder / "data")
    parts = (name, b"odd.png") if place == 0 else (b"cat", name + b".png") if place == 1 else (name, b"cat", b"odd.png")
    path = os.path.join(root, *(part[:250] for part in parts[:-1]), parts[-1][-250:])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for index in range(3):
        with open(path.removesuffix(b"odd.png") + (b"%d.png" % index if place != 1 else b""), "wb") as file:
            file.write(picture(seed=index))


def _with_good(make: "object", folder: Path) -> None:
    _good(folder)
    make(folder / "data" / "cat")  # type: ignore[operator]


def _good(folder: Path) -> None:
    for index in range(8):
        write(folder / "data" / ("cat", "dog")[index % 2] / f"{index}.png", picture(seed=index))


def _loop(place: Path) -> None:
    (place / "inner").symlink_to("inner")


def _circle(place: Path) -> None:
    (place / "a").mkdir()
    (place / "a" / "b").symlink_to("../../cat")
    (place / "a" / "c").symlink_to("../../../data")


def _deep(place: Path) -> None:
    current = os.open(place, os.O_RDONLY)
    for _ in range(1_000):
        os.mkdir("d", dir_fd=current)
        inner = os.open("d", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(current)
