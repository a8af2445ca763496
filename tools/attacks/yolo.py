"""YOLO's text and YAML files: numbers, columns and names that are none, aliases and tags that run code."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from attacks.case import CANARY, Case, damaged, data_set, picture, write

YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"
LABELS = "0 0.5 0.5 0.4 0.4\n1 0.3 0.3 0.2 0.2\n"
OUTLINES = "0 0.1 0.1 0.9 0.1 0.9 0.9\n1 0.2 0.2 0.5 0.2 0.5 0.5 0.2 0.5\n"


def crafted() -> Iterator[Case]:
    """One label file or data.yaml among good ones."""
    for name, content in _labels():
        for task in ("detect", "instance"):
            yield _case(f"labels: {name} ({task})", YAML.encode(), content, task)
    for name, content in _yamls():
        yield _case(f"data.yaml: {name}", content, LABELS.encode(), "detect")


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    task = draw.choice(("detect", "instance", "segment"))
    lines = (LABELS if task == "detect" else OUTLINES).encode()
    if draw.random() < 0.4:
        return _case("damaged data.yaml", damaged(YAML.encode(), draw), lines, task)
    elif draw.random() < 0.5:
        return _case("damaged labels", YAML.encode(), damaged(lines, draw), task)
    else:
        words = lines.decode().split()
        for _ in range(draw.choice((1, 2, 4))):
            words[draw.randrange(len(words))] = draw.choice(_NUMBERS)
        return _case("mutated labels", YAML.encode(), " ".join(words).encode(), task)


def _case(name: str, yaml: bytes, labels: bytes, task: str) -> Case:
    return Case("yolo", name, partial(_make, yaml, labels), data_set("yolo", task))


_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e9",
    "1e300",
    "-1",
    "-0.5",
    "1.0000001",
    "0",
    "9" * 400,
    "0x10",
    "1_000",
    "1,5",
    "\u0661",
    "\x1b[2J",
    "x",
    "",
    "1e",
    "+",
    "--1",
    "0.5\x00",
)


def _labels() -> Iterator[tuple[str, bytes]]:
    for number in _NUMBERS:
        yield f"class {number!r:.12}", f"{number} 0.5 0.5 0.4 0.4\n".encode()
        yield f"x {number!r:.12}", f"0 {number} 0.5 0.4 0.4\n".encode()
        yield f"width {number!r:.12}", f"0 0.5 0.5 {number} 0.4\n".encode()
        yield f"outline {number!r:.12}", f"0 0.1 0.1 {number} 0.1 0.9 {number}\n".encode()
    for columns in (1, 2, 4, 6, 7, 8, 100_001):
        yield f"{columns} columns", (" ".join(["0"] + ["0.5"] * (columns - 1)) + "\n").encode()
    yield "100,000 lines", LABELS.encode() * 50_000
    yield "class 10^18", b"1000000000000000000 0.5 0.5 0.4 0.4\n"
    yield from (
        ("binary", bytes(range(256)) * 20),
        ("byte order mark", b"\xef\xbb\xbf" + LABELS.encode()),
        ("NUL bytes", b"\x00" * 999),
        ("CRLF", LABELS.replace("\n", "\r\n").encode()),
        ("UTF-16", LABELS.encode("utf-16")),
        ("one line of 5 MB", b"0 " * 2_500_000),
        ("semicolons", LABELS.replace(" ", ";").encode()),
        ("tabs", LABELS.replace(" ", "\t").encode()),
    )


def _yamls() -> Iterator[tuple[str, bytes]]:
    yield from _yaml_language()
    yield from _yaml_values()
    yield from _yaml_files()


def _yaml_language() -> Iterator[tuple[str, bytes]]:
    """Aliases, tags and deep nesting."""
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9))
    yield "aliases, a billion of them", f"l0: &l0 [x, x]\n{levels}names: *l8\ntrain: images/train\n".encode()
    yield "an alias to itself", b"names: &a [*a]\ntrain: images/train\n"
    for tag in (
        "python/object/apply:os.system",
        "python/object/new:os.system",
        "python/name:os.system",
        "python/module:os",
    ):
        yield f"!!{tag}", f"{YAML}x: !!{tag} ['touch {CANARY}']\n".encode()
    yield "!!binary, !!set and dates", f"{YAML}a: !!binary aGk=\nb: !!set {{x}}\nc: 2001-01-01\n".encode()
    for depth in (100, 2_000, 100_000):
        yield f"nested {depth} deep", (YAML + "x: " + "[" * depth + "]" * depth).encode()
        yield f"mappings nested {depth} deep", (YAML + "x: " + "{a: " * depth + "}" * depth).encode()


def _yaml_values() -> Iterator[tuple[str, bytes]]:
    """Class names, counts and paths."""
    for names in (
        "5",
        "null",
        "{}",
        "[]",
        "[[a]]",
        "{0: a, 2: b}",
        "{-1: a}",
        "{x: a}",
        "{0: [a]}",
        "[null, null]",
        "[a, a]",
        "[on, off]",
        "[1, 2.5, true]",
        '["\\e[2J", "\\u202e"]',
        "['[bold]', '$x^{']",
        "['=1+1', '-x']",
        "[" + "x" * 70_000 + ", b]",
        "{99999999999: a}",
        "{" + "9" * 400 + ": a}",
        "{.nan: a}",
        "{1.5: a}",
    ):
        yield f"names {names[:20]}", YAML.replace("[cat, dog]", names).encode()
    for count in (
        "nc: -1",
        "nc: .nan",
        "nc: 1e400",
        f"nc: {'9' * 400}",
        "nc: [1]",
        "kpt_shape: [-1, 3]",
        "kpt_shape: [1e9, 3]",
        "kpt_shape: x",
        "kpt_shape: [99999999999999999999, 2]",
    ):
        yield count[:30], f"{YAML}{count}\n".encode()
    for path in (
        "5",
        "null",
        "[]",
        "{a: 1}",
        "../../../..",
        "/",
        "/proc",
        "/dev",
        "images/train\\0",
        '"\\e[2J"',
        "~",
        "$HOME",
        "x" * 5000,
        "[images/train, [images/train]]",
        "http://127.0.0.1:1/x.zip",
        "images/train.txt",
        "'*'",
        "/dev/zero",
    ):
        yield f"train {path[:20]}", YAML.replace("images/train", path).encode()


def _yaml_files() -> Iterator[tuple[str, bytes]]:
    """A download, and files that are no YAML."""
    yield "a download", f"{YAML}download: |\n  import os\n  os.system('touch {CANARY}')\n".encode()
    yield from (
        ("empty", b""),
        ("a list", b"[]"),
        ("text", b"hello"),
        ("binary", bytes(range(256))),
        ("UTF-16", YAML.encode("utf-16")),
        ("byte order mark", b"\xef\xbb\xbf" + YAML.encode()),
        ("a key twice", (YAML + "names: [x, y]\n").encode()),
        ("two documents", f"{YAML}---\n{YAML}".encode()),
        ("a comment of 9 MB", b"#" * 9_000_000 + b"\n" + YAML.encode()),
    )


def _make(yaml: bytes, labels: bytes, folder: Path) -> None:
    for index in range(6):
        split = "val" if index > 3 else "train"
        write(folder / "data" / "images" / split / f"{index}.png", picture(seed=index))
        good = OUTLINES if labels.split(b"\n")[0].count(b" ") > 5 else LABELS
        write(folder / "data" / "labels" / split / f"{index}.txt", labels if index == 0 else good.encode())
    write(folder / "data" / "data.yaml", yaml)
