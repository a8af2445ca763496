"""The reading of YOLO's text files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from visionkit.data.findings import Finding
from visionkit.data.images import is_image_name, walk_images
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import AnnotatedImages, Objects, ParsedDataset, clean_boxes
from visionkit.errors import UserError

__all__ = ["read_yolo"]

_NO_LABELS = ("classes.txt", "labels.txt", "train.txt", "val.txt", "test.txt")


@dataclass
class _Lines:
    """The objects of one split, line by line."""

    with_shapes: bool
    image: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    outlines: list[Sequence[float]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    no_outline: list[str] = field(default_factory=list)


def read_yolo(
    home: Path, places: Mapping[str, Sequence[Path]], names: Sequence[str], *, with_shapes: bool = False
) -> ParsedDataset[AnnotatedImages]:
    """Read the text files of all images; an image without one has no object.

    Args:
        home: The data set's folder.
        places: For each split its folders, or files that list images.
        names: The classes.
        with_shapes: Whether outlines are wanted; lines that hold none are then odd.

    Raises:
        UserError: If a class id is none of the classes, or there are no images.
    """
    findings: list[Finding] = []
    splits: dict[str, AnnotatedImages] = {}
    for split, entries in places.items():
        images = sorted({image for entry in entries for image in _images(entry, home)})
        there = [image for image in images if os.path.isfile(image)]
        findings += Finding.of(
            f"listed image(s) of {split} that do not exist", [image for image in images if not os.path.isfile(image)]
        )
        if not there:
            raise UserError(
                f"dataset.root: no images in '{entries[0]}', where the images of {split} should be. "
                "Expected a folder of images, or a text file with one image path per line."
            )
        splits[split] = _read_split(there, home, names, findings, with_shapes=with_shapes)
    return ParsedDataset(home, splits, tuple(names), findings)


def _read_split(
    images: Sequence[str], home: Path, names: Sequence[str], findings: list[Finding], *, with_shapes: bool
) -> AnnotatedImages:
    lines = _Lines(with_shapes)
    label_files = [_label_file(image) for image in images]
    for number, file in enumerate(label_files):
        _read_lines(file, number, lines, len(names))
    findings += Finding.of("label file(s) for a missing image", _alone(images, label_files))
    form = "class x y x y x y ..." if with_shapes else "class x y width height"
    findings += Finding.of(f"line(s) that are not '{form}'", lines.odd)
    findings += Finding.of("line(s) with fewer than three points, no outline", lines.no_outline)
    sizes = numpy.zeros((len(images), 2), dtype=numpy.int64)
    shapes = Polygons.of(lines.outlines, is_runs=False) if with_shapes else None
    objects, odd = clean_boxes(
        Objects.of(lines.image, lines.boxes, lines.labels, shapes=shapes),
        sizes,
        lines.places.__getitem__,
        relative=True,
    )
    findings += odd
    relative = [os.path.relpath(image, home).replace(os.sep, "/") for image in images]
    return AnnotatedImages(relative, sizes, objects, relative=True)


def _alone(images: Sequence[str], label_files: Sequence[str]) -> list[str]:
    """The label files that lie among those of the images, but whose own image is not among the images."""
    beside: dict[str, set[str]] = {}
    for image, file in zip(images, label_files, strict=True):
        beside.setdefault(os.path.dirname(file), set()).add(os.path.dirname(image))
    alone = []
    for folder, image_folders in sorted(beside.items()):
        stems = {os.path.splitext(n)[0] for f in image_folders for n in os.listdir(f) if is_image_name(n)}
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        alone += [
            os.path.join(folder, name)
            for name in names
            if name.endswith(".txt") and name not in _NO_LABELS and os.path.splitext(name)[0] not in stems
        ]
    return alone


def _images(entry: Path, home: Path) -> list[str]:
    if entry.is_dir():
        return [str(entry / name) for name in walk_images(entry)]
    if is_image_name(entry.name):
        return [str(entry)]
    try:
        lines = [line.strip() for line in entry.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"dataset.file: the list '{entry}' cannot be read: {error}. Expected one path a line."
        ) from None
    found = []
    for line in filter(None, lines):
        beside, below = entry.parent / line, home / line
        found.append(os.path.normpath(beside if beside.is_file() or not below.is_file() else below))
    return found


def _label_file(image: str) -> str:
    """``.../images/a.jpg`` has ``.../labels/a.txt``; where there is none, ``a.txt`` beside the image."""
    stem = os.path.splitext(image)[0] + ".txt"
    before, middle, after = stem.rpartition(f"{os.sep}images{os.sep}")
    if middle:
        beside = f"{before}{os.sep}labels{os.sep}{after}"
        if os.path.isfile(beside) or not os.path.isfile(stem):
            return beside
    return stem


def _read_lines(file: str, image: int, lines: _Lines, count: int) -> None:
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
    except FileNotFoundError:
        return  # no object in this image
    except (OSError, UnicodeError) as error:
        lines.odd.append(f"{file} ({error})")
        return
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        place = f"{file} line {number}"
        try:
            label, values = float(words[0]), [float(word) for word in words[1:]]
        except ValueError:
            lines.odd.append(place)
            continue
        if len(values) < 4 or (len(values) > 5 and len(values) % 2) or not label.is_integer():
            lines.odd.append(place)
            continue
        if not 0 <= label < count:
            raise UserError(
                f"dataset.root: {place}: class id {words[0]} is out of range: there are {count} names. "
                f"Expected 0 to {count - 1}. Mend the file, or add the class to names."
            )
        if lines.with_shapes and len(values) < 6:
            lines.no_outline.append(place)
            continue
        lines.image.append(image)
        lines.boxes.append(_box(values))
        lines.labels.append(int(label))
        lines.outlines.append(values)
        lines.places.append(place)


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Corners of a box given by centre and size, or around an outline ``x y x y x y ...``."""
    if len(values) > 5:
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    x, y, width, height = values[:4]  # a fifth is a confidence
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
