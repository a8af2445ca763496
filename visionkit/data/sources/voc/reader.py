"""Reader of Pascal VOC's XML files (Everingham et al. 2010, development kit)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.image_header import read_size
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset, clean_boxes
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.repeated_objects import drop_repeated
from visionkit.data.sources.split_names import split_of
from visionkit.data.sources.voc.names import find_stem, hold_val_out, read_list
from visionkit.data.sources.voc.xml_folder import XmlFile, read_xml_folder, xml_names
from visionkit.errors import UserError, did_you_mean
from visionkit.text import normal_form

__all__ = ["read_voc"]


def read_voc(
    root: Path,
    folders: Mapping[str, tuple[str, str]],
    *,
    lists: Mapping[str, Path] | None,
    classes: Sequence[str] | None,
    ignore_difficult: bool,
    first_pixel: int,
) -> ParsedDataset[AnnotatedImages]:
    """Read all XML files, or those of listed images.

    Args:
        root: The data set's folder.
        folders: For each split the folders of its XML files and of its images, relative to the root.
        lists: For each split the file that lists its images; None if each split has a folder, or there are no splits.
        classes: Class names in the order of their ids; None takes those in the files, sorted.
        ignore_difficult: Whether difficult objects become crowds, which are ignored.
        first_pixel: The coordinate of the first pixel, 0 or 1.

    Raises:
        UserError: If a list cannot be read.
    """
    findings: list[Finding] = []
    image_lists = ImageLists(root, own_endings={".xml"})
    listed = None if lists is None else _read_lists(image_lists, folders["train"], lists, findings)
    requested = None if listed is None else {stem for stems in listed.values() for stem in stems}
    files = {
        split: read_xml_folder(image_lists, xml_folder, image_folder, requested, findings)
        for split, (xml_folder, image_folder) in folders.items()
    }
    findings += image_lists.findings()
    found_classes = {item.name for file in chain(*files.values()) for item in file.objects if item.name}
    names = tuple(map(normal_form, classes)) if classes is not None else tuple(sorted(found_classes))
    annotated = {
        split: _annotated_images(
            root, split_files, names, findings, ignore_difficult=ignore_difficult, first_pixel=first_pixel
        )
        for split, split_files in files.items()
    }
    if listed is None:
        is_named = any(map(split_of, folders["train"][0].split("/")))
        return ParsedDataset(root, annotated, names, findings, names_splits=is_named)
    rows = {name: row for row, name in enumerate(annotated["train"].names)}
    # a list names an XML file, or its image, which may be named in another case
    prefix = f"{folders['train'][1]}/"
    row_of = {normal_form(os.path.splitext(name.removeprefix(prefix))[0]): row for name, row in rows.items()}
    row_of |= {file.stem: rows[file.image] for file in files["train"]}
    splits = {}
    for split, split_stems in listed.items():
        positions = list(dict.fromkeys(row_of[stem] for stem in split_stems if stem in row_of))
        splits[split] = annotated["train"].select(numpy.array(positions, dtype=numpy.int64))
    if not len(splits["train"]):
        details = "".join(f" {finding.note}." for finding in findings)
        raise UserError(f"dataset.root: nothing is left for train in '{root}', which has a list.{details}")
    return ParsedDataset(root, splits, names, findings, names_splits=True)


def _read_lists(
    image_lists: ImageLists, folders: tuple[str, str], lists: Mapping[str, Path], findings: list[Finding]
) -> dict[str, list[str]]:
    """The stems of the images that each split's list names; names without an image and an XML file are left out."""
    xml_folder, image_folder = folders
    names = [*xml_names(image_lists.root / xml_folder), *image_lists.images(image_folder)]
    known = {normal_form(os.path.splitext(name)[0]) for name in names}
    listed: dict[str, list[str]] = {}
    for split, file in lists.items():
        stems = {line: find_stem(line, known) for line in read_list(file)}
        findings += Finding.of("image-listed-missing", [line for line, stem in stems.items() if not stem], split=split)
        listed[split] = list(dict.fromkeys(stem for stem in stems.values() if stem))
    return hold_val_out(listed, lists)


def _annotated_images(
    root: Path,
    files: Sequence[XmlFile],
    classes: Sequence[str],
    findings: list[Finding],
    *,
    ignore_difficult: bool,
    first_pixel: int,
) -> AnnotatedImages:
    """The images of XML files, of which several of one image are one, with the objects of all, each object once."""
    of_image: dict[str, list[XmlFile]] = {}
    for file in files:
        of_image.setdefault(file.image, []).append(file)
    findings += Finding.of("image-listed-twice", [file.location for same in of_image.values() for file in same[1:]])
    sizes = _sizes(root, of_image, findings)
    objects = [item for same in of_image.values() for file in same for item in file.objects]
    counts = [sum(len(file.objects) for file in same) for same in of_image.values()]
    image = numpy.repeat(numpy.arange(len(counts)), numpy.array(counts, dtype=numpy.int64))
    ids = {name: number for number, name in enumerate(classes)}
    labels = numpy.array([ids.get(item.name, -1) for item in objects], dtype=numpy.int64)
    findings += Finding.of("object-nameless", [item.location for item in objects if not item.name])
    findings += Finding.of(
        "object-unknown-class",
        [
            f"{item.location} is a '{item.name}'.{did_you_mean(item.name, classes)}".rstrip(".")
            for item in objects
            if item.name and item.name not in ids
        ],
    )
    labelled = numpy.flatnonzero(labels >= 0)
    boxes = numpy.array([item.box for item in objects], dtype=numpy.float64).reshape(-1, 4)[labelled]
    # with inclusive corners a box of one pixel has equal corners, but in real files these are accidental clicks
    valid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes[valid, :2] -= first_pixel
    boxes, kept, box_findings = clean_boxes(boxes, sizes[image[labelled]], lambda row: objects[labelled[row]].location)
    findings += box_findings
    rows = labelled[kept]
    crowd = numpy.array([item.difficult for item in objects], dtype=bool)[rows] if ignore_difficult else None
    found = Objects.from_columns(boxes, labels[rows], crowd=crowd)
    images = AnnotatedImages(list(of_image), sizes, Annotations.from_sorted(found, image[rows], num_images=len(sizes)))
    images, repeated = drop_repeated(images)
    findings += repeated
    return images


def _sizes(root: Path, files: Mapping[str, Sequence[XmlFile]], findings: list[Finding]) -> NDArray[Any]:
    """Height and width of each image, int64 (N, 2), from its header where its XML file does not say them."""
    sizes = [same[0].size for same in files.values()]
    names = list(files)
    rows = [row for row, size in enumerate(sizes) if 0 in size]
    for row in rows:
        try:
            sizes[row] = read_size(root / names[row])
        except UserError:
            sizes[row] = (0, 0)
    findings += Finding.of("size-missing", [names[row] for row in rows])
    return numpy.array(sizes, dtype=numpy.int64).reshape(-1, 2)
