"""Pascal VOC's XML files: entities, encodings, junk; and lists of names."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from attacks.case import Case, damaged, data_set, picture, write

XML = (
    '<?xml version="1.0"?><annotation><filename>0.png</filename>'
    "<size><width>24</width><height>20</height><depth>3</depth></size>"
    "<object><name>cat</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>12</xmax><ymax>13</ymax></bndbox>"
    "</object><object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)


def crafted() -> Iterator[Case]:
    """One XML file among good ones."""
    for name, content in _documents():
        yield _case(name, content, {})
    for name, content in (
        ("paths", b"../../../etc/passwd\n/etc/passwd\n"),
        ("binary", bytes(range(256))),
        ("1", b"0 1\n1 -1\n2 x\n"),
        ("control characters", b"\x1b[2J\n0\n1\n"),
        ("byte order mark", b"\xef\xbb\xbf0\n1\n"),
        ("empty", b""),
        ("one line of 5 MB", b"0" * 5_000_000),
        ("not UTF-8", b"\xff\xfe0\n"),
    ):
        yield _case(
            f"train.txt: {name}",
            XML.encode(),
            {"ImageSets/Main/train.txt": content, "ImageSets/Main/val.txt": b"4\n5\n"},
        )


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    return _case("damaged XML", damaged(XML.encode(), draw), {})


def _case(name: str, content: bytes, lists: dict[str, bytes]) -> Case:
    return Case("voc", name, partial(_make, content, lists), data_set("voc", "detect", val_fraction=0.3))


def _documents() -> Iterator[tuple[str, bytes]]:
    yield from _entities()
    yield from _encodings()
    yield from _values()
    yield from _trees()


def _entities() -> Iterator[tuple[str, bytes]]:
    """Entities and document types."""
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "cat">{entities}]>'
    yield "entities, a billion of them", _declared(bomb, "&l9;")
    yield (
        "one entity of 10 MB, 1,000 times",
        _declared(f'<!DOCTYPE a [<!ENTITY x "{"y" * 10_000_000}">]>', "&x;" * 1000),
    )
    for system in ("file://SECRET", "file:///etc/passwd", "http://127.0.0.1:1/x", "SECRET"):
        yield f"external entity {system[:12]}", _declared(f'<!DOCTYPE a [<!ENTITY x SYSTEM "{system}">]>', "&x;")
    yield "external DTD", _declared('<!DOCTYPE a SYSTEM "file://SECRET">', "cat")
    yield "parameter entity", _declared('<!DOCTYPE a [<!ENTITY % p SYSTEM "file://SECRET"> %p;]>', "cat")
    yield "unknown entity", _declared("", "&unknown;")


def _encodings() -> Iterator[tuple[str, bytes]]:
    """Encodings that are unknown or not those of the text."""
    for encoding in (
        "no-such",
        "utf-16",
        "utf-7",
        "idna",
        "hex",
        "rot13",
        "ascii",
        "cp037",
        "utf-8-sig",
        "x" * 9999,
        "../x",
        "",
    ):
        yield f"encoding {encoding[:12]}", XML.replace('"1.0"', f'"1.0" encoding="{encoding}"').encode()
    for declared, actual in (
        ("utf-8", "latin-1"),
        ("latin-1", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
        ("gbk", "gbk"),
    ):
        text = XML.replace("cat", "caf\xe9").replace('"1.0"', f'"1.0" encoding="{declared}"')
        yield f"{actual} that says {declared}", text.encode(actual, "replace")


def _values() -> Iterator[tuple[str, bytes]]:
    """Numbers and names."""
    for value in (
        "nan",
        "inf",
        "-inf",
        "1e9",
        "1e300",
        "-5",
        "",
        "x",
        "9" * 400,
        "1,5",
        "0x9",
        "<b/>",
        "1e400",
        " 3 ",
        "\u0663",
    ):
        yield f"xmax {value[:12]}", XML.replace("<xmax>12", f"<xmax>{value}").encode()
        yield f"width {value[:12]}", XML.replace("<width>24", f"<width>{value}").encode()
        yield f"difficult {value[:12]}", XML.replace("<difficult>0", f"<difficult>{value}").encode()
    for name in (
        "",
        "&#27;[2J",
        "&#x202e;cat",
        "[bold]x[/]",
        "$x^{",
        "=1+1",
        "a&#10;b",
        "x" * 70_000,
        "../../canary",
        "<i>cat</i>",
    ):
        yield f"name {name[:12]}", XML.replace("cat", name).encode()
    for name in ("../../secret", "/etc/passwd", "", "x" * 5000, "&#13;0.png"):
        yield f"filename {name[:12]}", XML.replace("0.png", name).encode()


def _trees() -> Iterator[tuple[str, bytes]]:
    """Documents that are large, deep or none."""
    yield "100,000 objects", _many(100_000)
    yield "nested 100,000 deep", b"<a>" * 100_000 + b"</a>" * 100_000
    yield (
        "parts nested 100,000 deep",
        XML.replace("<object>", "<part>" * 100_000 + "</part>" * 100_000 + "<object>", 1).encode(),
    )
    attributes = " ".join(f"a{i}='1'" for i in range(100_000))
    yield "100,000 attributes", XML.replace("<annotation>", f"<annotation {attributes}>").encode()
    yield from (
        ("empty", b""),
        ("text", b"hello"),
        ("another root", b"<html/>"),
        ("binary", bytes(range(256))),
        ("NUL bytes", b"\x00" * 999),
        ("byte order mark", b"\xef\xbb\xbf" + XML.encode()),
        ("cut off", XML.encode()[:-20]),
        ("two documents", XML.encode() * 2),
        ("an image", picture()),
        ("JSON", b"{}"),
        ("no size", XML.replace("size>", "sizes>").encode()),
        ("no box", XML.replace("bndbox>", "box>").encode()),
        ("two boxes", XML.replace("<bndbox>", "<bndbox/><bndbox>").encode()),
    )


def _declared(doctype: str, name: str) -> bytes:
    return XML.replace("?>", f"?>{doctype}", 1).replace("cat", name).encode()


def _many(count: int) -> bytes:
    part = XML[XML.index("<object>") : XML.index("</object>") + len("</object>")]
    return XML.replace(part, part * count).encode()


def _make(content: bytes, lists: dict[str, bytes], folder: Path) -> None:
    content = content.replace(b"SECRET", str(folder / "secret").encode())
    for index in range(6):
        write(folder / "data" / "JPEGImages" / f"{index}.png", picture(seed=index))
        text = content if index == 0 else XML.replace("0.png", f"{index}.png").encode()
        write(folder / "data" / "Annotations" / f"{index}.xml", text)
    for name, lines in lists.items():
        write(folder / "data" / name, lines)
