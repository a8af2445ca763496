"""Reader of YOLO's text files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.image_files import is_image_name, walk_images
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset, clean_boxes
from visionkit.data.sources.outlines import clean_outlines
from visionkit.errors import UserError

__all__ = ["read_yolo"]

_NON_LABEL_FILES = ("classes.txt", "labels.txt", "train.txt", "val.txt", "test.txt")


@dataclass
class _ObjectLines:
    """The valid lines of one split's text files, one object each, and the locations of invalid lines."""

    with_masks: bool
    image: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    outlines: list[Sequence[float]] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    no_outline: list[str] = field(default_factory=list)


def read_yolo(
    root: Path, split_entries: Mapping[str, Sequence[Path]], names: Sequence[str], *, with_masks: bool = False
) -> ParsedDataset[AnnotatedImages]:
    """Read the text files of all images; an image without a text file has no objects.

    Args:
        root: The data set's folder.
        split_entries: For each split its folders of images, or files that list images.
        names: The class names.
        with_masks: Whether to read outlines; lines without one are then dropped with a finding.

    Raises:
        UserError: If a class id is out of range, or a split has no images.
    """
    findings: list[Finding] = []
    splits: dict[str, AnnotatedImages] = {}
    for split, entries in split_entries.items():
        images = sorted({image for entry in entries for image in _images(entry, root)})
        existing = [image for image in images if os.path.isfile(image)]
        missing = [image for image in images if not os.path.isfile(image)]
        findings += Finding.of("image-listed-missing", missing, split=split)
        if not existing:
            raise UserError(
                f"dataset.root: no images in '{entries[0]}', where the images of {split} should be. "
                "Expected a folder of images, or a text file with one image path per line."
            )
        splits[split] = _read_split(existing, root, names, findings, with_masks=with_masks)
    return ParsedDataset(root, splits, tuple(names), findings)


def _read_split(
    images: Sequence[str], root: Path, names: Sequence[str], findings: list[Finding], *, with_masks: bool
) -> AnnotatedImages:
    lines = _ObjectLines(with_masks)
    label_files = [_label_file(image) for image in images]
    for index, file in enumerate(label_files):
        _read_lines(file, index, lines, len(names))
    findings += Finding.of("label-file-orphan", _orphan_label_files(images, label_files))
    form = "class x y x y x y ..." if with_masks else "class x y width height"
    findings += Finding.of("line-malformed", lines.malformed, form=form)
    findings += Finding.of("outline-few-points", lines.no_outline)
    boxes = numpy.array(lines.boxes, dtype=numpy.float64).reshape(-1, 4)
    boxes, valid, box_findings = clean_boxes(boxes, None, lines.locations.__getitem__)
    findings += box_findings
    outlines = Polygons.from_list(lines.outlines, is_rle=False)[valid] if with_masks else None
    if outlines is not None:
        keep, outline_findings = clean_outlines(outlines, None, lambda row: lines.locations[valid[row]])
        boxes, valid, outlines = boxes[keep], valid[keep], outlines[keep]
        findings += outline_findings
    objects = Objects.from_columns(boxes, numpy.array(lines.labels)[valid], segmentations=outlines)
    annotations = Annotations.from_sorted(
        replace(objects, boxes=boxes), numpy.array(lines.image)[valid], num_images=len(images)
    )
    names = [os.path.relpath(image, root).replace(os.sep, "/") for image in images]
    sizes = numpy.zeros((len(images), 2), dtype=numpy.int64)
    return AnnotatedImages(names, sizes, annotations, relative=True)


def _orphan_label_files(images: Sequence[str], label_files: Sequence[str]) -> list[str]:
    """The label files in the folders of label files whose image is missing."""
    image_folders_of: dict[str, set[str]] = {}
    for image, file in zip(images, label_files, strict=True):
        image_folders_of.setdefault(os.path.dirname(file), set()).add(os.path.dirname(image))
    orphans = []
    for folder, image_folders in sorted(image_folders_of.items()):
        stems = {os.path.splitext(n)[0] for f in image_folders for n in os.listdir(f) if is_image_name(n)}
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        orphans += [
            os.path.join(folder, name)
            for name in names
            if name.endswith(".txt") and name not in _NON_LABEL_FILES and os.path.splitext(name)[0] not in stems
        ]
    return orphans


def _images(entry: Path, root: Path) -> list[str]:
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
    paths = []
    for line in filter(None, lines):
        beside_list, below_root = entry.parent / line, root / line
        paths.append(os.path.normpath(beside_list if beside_list.is_file() or not below_root.is_file() else below_root))
    return paths


def _label_file(image: str) -> str:
    """The label file of an image: ``.../labels/a.txt`` for ``.../images/a.jpg``, else ``a.txt`` next to the image."""
    stem = os.path.splitext(image)[0] + ".txt"
    prefix, separator, suffix = stem.rpartition(f"{os.sep}images{os.sep}")
    if separator:
        in_labels = f"{prefix}{os.sep}labels{os.sep}{suffix}"
        if os.path.isfile(in_labels) or not os.path.isfile(stem):
            return in_labels
    return stem


def _read_lines(file: str, image: int, lines: _ObjectLines, num_classes: int) -> None:
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return  # an image without objects
    except (OSError, UnicodeError) as error:
        lines.malformed.append(f"{file} ({error})")
        return
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        location = f"{file} line {number}"
        try:
            label, values = float(words[0]), [float(word) for word in words[1:]]
        except ValueError:
            lines.malformed.append(location)
            continue
        if len(values) < 4 or (len(values) > 5 and len(values) % 2) or not label.is_integer():
            lines.malformed.append(location)
            continue
        if not 0 <= label < num_classes:
            raise UserError(
                f"dataset.root: {location}: class id {words[0]} is out of range: there are {num_classes} names. "
                f"Expected 0 to {num_classes - 1}. Mend the file, or add the class to names."
            )
        if lines.with_masks and len(values) < 6:
            lines.no_outline.append(location)
            continue
        lines.image.append(image)
        lines.boxes.append(_box(values))
        lines.labels.append(int(label))
        lines.outlines.append(values)
        lines.locations.append(location)


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Convert ``x_center y_center width height`` to xyxy, or an outline ``x y x y x y ...`` to its bounding box."""
    if len(values) > 5 and not all(map(math.isfinite, values)):
        return (math.nan,) * 4  # of NaN, min and max depend on the order
    if len(values) > 5:
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    x, y, width, height = values[:4]  # a fifth value is a confidence
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
