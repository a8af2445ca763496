"""Reads the images and the label files of a YOLO data set."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset, clean_boxes
from visionkit.data.sources.box_doubts import doubt_corners
from visionkit.data.sources.outlines import clean_outlines
from visionkit.data.sources.yolo.columns import ColumnRule, Columns, find_column_rule
from visionkit.data.sources.yolo.definition import Definition
from visionkit.data.sources.yolo.images import SplitImages
from visionkit.data.sources.yolo.label_files import LabelFiles
from visionkit.data.sources.yolo.line_form import check_line_form
from visionkit.data.sources.yolo.lines import LabelLines
from visionkit.data.sources.yolo.paths import FolderListings
from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.text import normal_form

__all__ = ["read_yolo"]

_MAX_BYTES = 1024**2


def read_yolo(
    definition: Definition, listings: FolderListings, *, columns: Columns | None = None, with_masks: bool = False
) -> ParsedDataset[AnnotatedImages]:
    """Read the label files of all images; an image without one has no objects.

    Args:
        definition: Classes and splits.
        listings: The listings of folders.
        columns: What stands behind the class of a line; None tells by the lines.
        with_masks: Whether to read outlines; lines without one are then dropped with a finding.

    Raises:
        UserError: If a class id is out of range, a split has no images, no image has a label file, or lines may mean
            two things.
    """
    findings = list(definition.findings)
    images, lines, num_labelled, label_files = {}, {}, 0, LabelFiles(listings)
    split_images = SplitImages(definition)
    for split in definition.split_entries:
        found = split_images.find(split, findings)
        if not found:
            continue
        images[split], files = _with_label_files(found, label_files, findings)
        lines[split] = _read_labels(split, images[split], files, definition, findings)
        num_labelled += len(files) - files.count(None)
    findings += split_images.findings()
    if not num_labelled:
        raise _no_label_error(images["train"][0], sum(map(len, images.values())))
    findings += Finding.of("label-file-orphan", label_files.orphans())
    findings += _other_class_names(label_files, definition)
    check_line_form(lines.values(), definition.class_names)
    rule = find_column_rule(
        (values for split_lines in lines.values() for values in split_lines.values),
        columns=columns,
        kpt_shape=definition.kpt_shape,
        with_masks=with_masks,
    )
    splits = {}
    for split in images:
        names = [os.path.relpath(image, definition.root).replace(os.sep, "/") for image in images[split]]
        annotations = _annotations(lines[split], rule, len(names), findings, with_masks=with_masks)
        sizes = numpy.zeros((len(names), 2), dtype=numpy.int64)
        splits[split] = AnnotatedImages(names, sizes, annotations, relative=True)
    return ParsedDataset(
        definition.root,
        splits,
        definition.class_names,
        findings,
        notes=definition.notes,
        names_splits=definition.names_splits,
    )


def _with_label_files(
    images: Sequence[str], label_files: LabelFiles, findings: list[Finding]
) -> tuple[list[str], list[str | None]]:
    """The images and their label files, without images whose label file is that of another one."""
    kept, files, repeated = list[str](), list[str | None](), list[str]()
    for image in images:
        file = label_files.find(image)
        if file is not None and label_files.image_of.setdefault(file, image) != image:
            repeated.append(image)
        else:
            kept.append(image)
            files.append(file)
    findings += Finding.of("name-repeated", repeated)
    return kept, files


def _read_labels(
    split: str, images: Sequence[str], files: Sequence[str | None], definition: Definition, findings: list[Finding]
) -> LabelLines:
    """The lines of the label files of a split's images, None for an image without one."""
    lines, unlabelled = LabelLines(), []
    for index, (image, file) in enumerate(zip(images, files, strict=True)):
        if file is None:
            unlabelled.append(image)
        else:
            lines.read(file, index, len(definition.class_names))
    is_most = 2 * len(unlabelled) >= len(images)
    findings += Finding.of("labels-mostly-missing" if is_most else "image-no-labels", unlabelled, split=split)
    findings += Finding.of("line-commas", lines.with_commas)
    findings += Finding.of("annotation-repeated", lines.repeated)
    return lines


def _annotations(
    lines: LabelLines, rule: ColumnRule, num_images: int, findings: list[Finding], *, with_masks: bool
) -> Annotations:
    """The objects of a split, in fractions of the images' sides."""
    kinds = [rule.kind(values) for values in lines.values]
    rows_of = {kind: [row for row, other in enumerate(kinds) if other == kind] for kind in set(kinds)}
    malformed = [*lines.malformed, *map(lines.place, rows_of.get("malformed", ()))]
    form = "class x y x y x y ..." if with_masks else "class x y width height"
    if rule.num_point_values is not None:
        form = f"class x y width height and {rule.num_point_values} numbers of points"
    findings += Finding.of("line-malformed", malformed, form=form)
    findings += Finding.of("line-extra-columns", list(map(lines.place, rows_of.get("extra", ()))))
    confident = [row for row in rows_of.get("box", ()) if len(lines.values[row]) == 5 and rule.columns is None]
    findings += Finding.of("line-confidence", list(map(lines.place, confident)))
    boxes_alone = sorted([*rows_of.get("box", ()), *rows_of.get("extra", ())])
    if with_masks:
        findings += Finding.of("outline-few-points", list(map(lines.place, boxes_alone)))
    kept = sorted([*rows_of.get("outline", ()), *(() if with_masks else boxes_alone)])
    found = [_outline_box(lines.values[row]) if kinds[row] == "outline" else _box(lines.values[row]) for row in kept]
    boxes = numpy.array(found, dtype=numpy.float64).reshape(-1, 4)
    drawn = numpy.array([kinds[row] != "outline" for row in kept], dtype=bool)
    if drawn.any():
        findings += doubt_corners(boxes[drawn], None, place=os.path.dirname(lines.place(kept[int(drawn.argmax())])))
    boxes, valid, box_findings = clean_boxes(boxes, None, lambda position: lines.place(kept[position]))
    findings += box_findings
    rows = numpy.array(kept, dtype=numpy.int64)[valid]
    outlines = Polygons.from_list([lines.values[row] for row in rows], is_rle=False) if with_masks else None
    if outlines is not None:
        within, outline_findings = clean_outlines(outlines, None, lambda position: lines.place(int(rows[position])))
        boxes, rows, outlines = boxes[within], rows[within], outlines[within]
        findings += outline_findings
    labels = numpy.array(lines.labels, dtype=numpy.int64)[rows]
    objects = replace(Objects.from_columns(boxes, labels, segmentations=outlines), boxes=boxes)
    return Annotations.from_sorted(objects, numpy.array(lines.image, dtype=numpy.int64)[rows], num_images=num_images)


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Convert ``x_center y_center width height ...`` to xyxy."""
    x, y, width, height = values[:4]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _outline_box(values: Sequence[float]) -> tuple[float, float, float, float]:
    """The smallest box around an outline ``x y x y x y ...``, xyxy."""
    if not all(map(math.isfinite, values)):
        return (math.nan,) * 4  # of NaN, min and max depend on the order
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _other_class_names(label_files: LabelFiles, definition: Definition) -> list[Finding]:
    """A finding on files among the labels that give other names to the class ids than the data set's file does."""
    other = []
    for file in label_files.class_files():
        try:
            text = read_text(Path(file), max_bytes=_MAX_BYTES)
        except (OSError, UnicodeError):
            continue
        names = [normal_form(line.strip()) for line in text.splitlines() if line.strip()]
        if any(name != expected for name, expected in zip(names, definition.class_names, strict=False)):
            other.append(f"{file} ({', '.join(names[:5])})")
    return Finding.of("class-file-differs", other, names=", ".join(definition.class_names[:5]))


def _no_label_error(image: str, count: int) -> UserError:
    stem = os.path.splitext(os.path.basename(image))[0]
    return UserError(
        f"dataset.root: none of the {count} images has a label file; '{image}' has no '{stem}.txt' in labels/, where "
        "the image's folder is images/, nor beside it. Expected a text file with the name of its image for each. "
        "Are these the labels of other images, or of another form, such as dataset=coco or dataset=voc?"
    )
