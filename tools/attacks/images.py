"""Image files: truncated, bombs, wrong headers and metadata, and things that are no files."""

import io
import os
import random
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy
from PIL import Image, PngImagePlugin, TiffImagePlugin

from attacks.case import CANARY, Case, Content, damaged, data_set, in_turn, one_image, picture, write

FORMATS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp", "PPM": "ppm"}


def crafted() -> Iterator[Case]:
    """An image among good ones, read as a data set and alone."""
    for name, suffix, content in _contents():
        yield _case(name, f"a.{suffix}", partial(_write, f"a.{suffix}", content))
    for name, make in _SPECIAL.items():
        yield _case(name, "a.jpg", partial(_special, make))


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    kind = draw.choice(list(FORMATS))
    suffix = FORMATS[kind]
    content = damaged(picture(kind=kind, seed=draw.randrange(99)), draw)
    return _case(f"damaged {kind}", f"a.{suffix}", partial(_write, f"a.{suffix}", content))


def _case(name: str, file: str, make: Callable[[Path], None]) -> Case:
    enter = in_turn(data_set("folder", "classify", val_fraction=0.3, test_fraction=0.0), one_image(f"cat/{file}"))
    return Case("images", name, make, enter)


def _good(folder: Path) -> None:
    for index in range(8):
        write(folder / "data" / ("cat", "dog")[index % 2] / f"{index}.png", picture(seed=index))


def _write(name: str, content: Content, folder: Path) -> None:
    _good(folder)
    write(folder / "data" / "cat" / name, content)


def _special(make: Callable[[Path], object], folder: Path) -> None:
    _good(folder)
    make(folder / "data" / "cat" / "a.jpg")


def _contents() -> Iterator[tuple[str, str, Content]]:
    yield from _formats()
    yield from _metadata()


def _formats() -> Iterator[tuple[str, str, Content]]:
    """Files cut short, sizes that lie, and pixels of every kind."""
    for kind, suffix in FORMATS.items():
        content = picture(kind=kind)
        for length in (0, 1, len(content) // 2, len(content) - 1):
            yield f"{kind} of {length} bytes", suffix, content[:length]
        yield f"{kind} named .jpg", "jpg", content
        yield f"{kind} and junk", suffix, content + bytes(range(200))
    for width, height in ((1, 10**8), (10**8, 1), (65535, 65535), (0, 0), (2**31 - 1, 2**31 - 1), (2**31, 1)):
        yield f"PNG that says {width}x{height}", "png", _png(width, height, b"")
    yield "PNG bomb of 900 megapixels", "png", lambda: _png(30000, 30000, zlib.compress(bytes(30000 * 3751), 9), bits=1)
    yield (
        "PNG bomb below Pillow's limit",
        "png",
        lambda: _png(13000, 13000, zlib.compress(bytes(13000 * 1626), 9), bits=1),
    )
    for bits, colour in ((16, 0), (16, 2), (1, 0), (3, 0), (8, 7)):
        yield f"PNG of {bits} bits, colour type {colour}", "png", _png(4, 4, zlib.compress(bytes(400)), bits, colour)
    yield "PNG with a text bomb", "png", _text_bomb
    yield "GIF of 2,000 frames", "gif", partial(_frames, "GIF", 2000)
    yield "APNG", "png", _frames("PNG", 5)
    for size in (-1, 0, 2**31 - 1, -(2**31)):
        bmp = bytearray(picture(kind="BMP"))
        bmp[18:22] = struct.pack("<i", size)
        yield f"BMP {size} wide", "bmp", bytes(bmp)
    for mode, kind in (
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("1", "PNG"),
        ("P", "PNG"),
        ("LA", "PNG"),
        ("RGBA", "PNG"),
        ("CMYK", "TIFF"),
        ("LAB", "TIFF"),
    ):
        yield f"{mode} {kind}", FORMATS[kind], picture(mode=mode, kind=kind)


def _metadata() -> Iterator[tuple[str, str, Content]]:
    """TIFF tags, EXIF, and texts that are no images."""
    yield from _tiffs()
    for exif in (
        b"",
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + b"\xff" * 60,
        b"Exif\x00\x00" + b"M" * 60_000,
    ):
        yield f"EXIF of {len(exif)} bytes", "jpg", picture(kind="JPEG", exif=exif)
    for orientation in (0, 9, 65535):
        tags = Image.Exif()
        tags[0x0112] = orientation
        yield f"EXIF orientation {orientation}", "jpg", picture(kind="JPEG", exif=tags.tobytes())
    loop = (
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00\x08\x00\x00\x00"
    )
    yield "EXIF that refers to itself", "jpg", picture(kind="JPEG", exif=loop)
    script = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch {CANARY}) (w) file\n%%EOF\n"
    yield "PostScript", "jpg", script.encode()
    for text in (
        "<svg/>",
        "<?php system('touch canary'); ?>",
        "P6 99999999 99999999 255\n",
        "P1 -1 -1\n",
        "P3 2 2 255 1e9",
    ):
        yield f"text {text[:12]}", "ppm", text.encode()


def _tiffs() -> Iterator[tuple[str, str, bytes]]:
    for name, values in (
        ("NaN", numpy.full((8, 8), numpy.nan, numpy.float32)),
        ("infinite", numpy.full((8, 8), numpy.inf, numpy.float32)),
        ("huge", numpy.full((8, 8), 3e38, numpy.float32)),
        ("negative", numpy.full((8, 8), -5, numpy.int32)),
        ("16-bit", numpy.full((8, 8), 65535, numpy.uint16)),
    ):
        file = io.BytesIO()
        Image.fromarray(values).save(file, "TIFF")
        yield f"TIFF of {name} values", "tif", file.getvalue()
    for tag, value in (
        (256, 10**8),
        (257, 10**8),
        (258, 65535),
        (277, 60000),
        (278, 0),
        (279, 2**32 - 1),
        (273, 2**32 - 1),
    ):
        content = bytearray(picture(mode="L", kind="TIFF"))
        offset = struct.unpack_from("<I", content, 4)[0]
        for entry in range(struct.unpack_from("<H", content, offset)[0]):
            at = offset + 2 + 12 * entry
            if struct.unpack_from("<H", content, at)[0] == tag:
                struct.pack_into("<HII", content, at + 2, TiffImagePlugin.TiffTags.LONG, 1, value)
        yield f"TIFF with tag {tag} = {value}", "tif", bytes(content)
    content = bytearray(picture(mode="L", kind="TIFF"))
    offset = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, offset)[0]
    struct.pack_into("<I", content, offset + 2 + 12 * count, offset)
    yield "TIFF whose next page is itself", "tif", bytes(content)


def _png(width: int, height: int, pixels: bytes, bits: int = 8, colour: int = 0) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    information = PngImagePlugin.PngInfo()
    information.add_text("a", "x" * 60_000_000, zip=True)
    return picture(pnginfo=information)


def _frames(kind: str, count: int) -> bytes:
    frames = [Image.new("L", (8, 8), index % 256) for index in range(count)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def _bind(path: Path) -> None:
    place = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:  # the path through a descriptor is short enough for a socket
        server.bind(f"/proc/self/fd/{place}/{path.name}")
    os.close(place)


_SPECIAL: dict[str, Callable[[Path], object]] = {
    "named pipe": os.mkfifo,
    "folder called a.jpg": Path.mkdir,
    "socket": _bind,
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to("a.jpg"),
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to /dev/random": lambda path: path.symlink_to("/dev/random"),
    "link to a folder above": lambda path: path.symlink_to(".."),
    "link to /proc": lambda path: path.symlink_to("/proc/self/mem"),
    "link to a text": lambda path: path.symlink_to("/etc/passwd"),
}
