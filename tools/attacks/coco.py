"""COCO's JSON files: outlines and run lengths out of all bounds, numbers that are none, wrong types everywhere."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from attacks.case import NASTY, Case, damaged, data_set, mutated, picture, write

TASKS = ("detect", "instance", "segment")
NAN, INFINITE = float("nan"), float("inf")


def crafted() -> Iterator[Case]:
    """One JSON file beside six images."""
    for number, (name, document) in enumerate(_documents()):
        yield _case(
            name, document, TASKS[number % 3] if "outline" not in name and "runs" not in name else TASKS[1 + number % 2]
        )


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    if draw.random() < 0.15:
        return _case("damaged JSON", damaged(_dump(_valid()), draw), draw.choice(TASKS))
    else:
        document = _valid()
        for _ in range(draw.choice((1, 1, 2, 5))):
            document = mutated(document, draw)
        return _case("mutated JSON", document, draw.choice(TASKS))


def _case(name: str, document: Any, task: str) -> Case:
    return Case("coco", f"{name} ({task})", partial(_make, document), data_set("coco", task, val_fraction=0.3))


def _valid() -> dict[str, Any]:
    images = [{"id": i, "file_name": f"{i}.png", "width": 24, "height": 20} for i in range(6)]
    annotations = [
        {
            "id": i,
            "image_id": i % 6,
            "category_id": 1 + i % 2,
            "bbox": [2, 3, 10, 8],
            "area": 80,
            "iscrowd": 0,
            "segmentation": [[2, 3, 12, 3, 12, 11, 2, 11]],
        }
        for i in range(12)
    ]
    return {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def _documents() -> Iterator[tuple[str, Any]]:
    yield from _outlines()
    yield from _run_lengths()
    yield from _ids_and_names()
    yield from _files()


def _outlines() -> Iterator[tuple[str, Any]]:
    """Boxes, outlines and sizes of images."""
    for value in (1e9, -1e9, 1e30, 1e300, NAN, INFINITE, 10**400):
        yield f"outline at {value!r:.8}", _edit("annotations", "segmentation", [[0, 0, value, 0, value, value, 0, 9]])
        yield f"box at {value!r:.8}", _edit("annotations", "bbox", [value, 0, 9, 9])
        yield f"box of size {value!r:.8}", _edit("annotations", "bbox", [0, 0, value, value])
        yield f"image of width {value!r:.8}", _edit("images", "width", value)
    for outline in (
        [],
        [[]],
        [[1]],
        [[1, 2]],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[0] * 8],
        [["a"] * 8],
        [[None] * 8],
        5,
        "x",
    ):
        yield f"outline {outline!r:.20}", _edit("annotations", "segmentation", outline)
    yield "outline of 300,000 points", _edit("annotations", "segmentation", [[i % 24 for i in range(600_000)]])
    yield "100,000 outlines", _edit("annotations", "segmentation", [[1, 1, 9, 1, 9, 9]] * 100_000)


def _run_lengths() -> Iterator[tuple[str, Any]]:
    """Run lengths."""
    for counts in (
        [],
        [480],
        [481],
        [10**9],
        [2**62, 2**62, 480],
        [2**63],
        [2**64 + 480],
        [-1, 481],
        [10, 5],
        [1.5, 478.5],
        [NAN],
        ["a"],
        "abc",
        "\x00",
        "0" * 100_000,
        "o" * 100_000,
        "PPYo1" * 9,
        [0] * 200_000,
        None,
        5,
    ):
        for size in ([20, 24], [10**5, 10**5]):
            runs = {"counts": counts, "size": size}
            yield f"runs {counts!r:.20} of {size}", _edit("annotations", "segmentation", runs)
    for size in ([0, 0], [-1, 5], [1], "x", None, [NAN, 1], [2**40, 2**40]):
        yield f"runs of size {size}", _edit("annotations", "segmentation", {"counts": [480], "size": size})


def _ids_and_names() -> Iterator[tuple[str, Any]]:
    """Ids, names and lists of wrong types."""
    for key, part in (
        ("images", "id"),
        ("annotations", "image_id"),
        ("annotations", "category_id"),
        ("categories", "id"),
    ):
        for value in (10**399, -1, 2**63, NAN, 1.5, "1", None, True, [1]):
            yield f"{part} {value!r:.8}", _edit(key, part, value)
    for key in ("images", "annotations", "categories"):
        for value in NASTY:
            yield f"{key} is {value!r:.12}", {**_valid(), key: value}
    for name in (
        "../../secret",
        "/etc/passwd",
        "a\x00b",
        "\x1b[2J",
        "x" * 5000,
        "0.png\r\n",
        "\ud800.png",
        ".",
        "",
        "con",
    ):
        yield f"file_name {name!r:.12}", _edit("images", "file_name", name)
    for name in ("\x1b[2J\x07", "[bold]", "$x^", "a\nb", "\u202ecat", "=1+1", "x" * 70_000, ""):
        yield f"category {name!r:.12}", _edit("categories", "name", name)


def _files() -> Iterator[tuple[str, Any]]:
    """Many objects, deep nesting, and files that are no JSON."""
    many = _valid()
    many["annotations"] = [{**many["annotations"][0], "id": i} for i in range(100_000)]
    yield "100,000 objects on one image", many
    for depth in (50, 1_000, 100_000):
        yield f"lists nested {depth} deep", b"[" * depth + b"]" * depth
        yield f"mappings nested {depth} deep", b'{"images":' * depth + b"1" + b"}" * depth
    text = _dump(_valid())
    yield from (
        ("empty", b""),
        ("null", b"null"),
        ("a list", b"[]"),
        ("UTF-16", text.decode().encode("utf-16")),
        ("cut off", text[:-9]),
        ("byte order mark", b"\xef\xbb\xbf" + text),
        ("not UTF-8", text.replace(b"cat", b"c\xfft")),
        ("NUL bytes", b"\x00" * 99),
        ("a key twice", text.replace(b'"info"', b'"images"')),
        ("a number of 5,000 digits", text.replace(b"80", b"8" * 5000)),
        ("1e999999", text.replace(b"80", b"1e999999")),
        ("two documents", text + text),
    )


def _edit(key: str, part: str, value: Any) -> dict[str, Any]:
    document = deepcopy(_valid())
    document[key][0][part] = value
    return document


def _dump(document: Any) -> bytes:
    return json.dumps(document).encode("ascii")


def _make(document: Any, folder: Path) -> None:
    for index in range(6):
        write(folder / "data" / "images" / f"{index}.png", picture(seed=index))
    content = document if isinstance(document, bytes) else _dump(document)
    write(folder / "data" / "annotations.json", content)
