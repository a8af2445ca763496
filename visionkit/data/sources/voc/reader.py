"""Reader of Pascal VOC's XML files (Everingham et al. 2010, development kit)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset, clean_boxes, list_images
from visionkit.errors import UserError, did_you_mean

__all__ = ["read_list", "read_voc"]


@dataclass
class _ParsedFolder:
    """The images and objects of one folder of XML files; lists from ``image`` on have one entry per object."""

    names: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    image: list[int] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    stems: dict[str, int] = field(default_factory=dict)


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
    listed = None if lists is None else {split: read_list(file) for split, file in lists.items()}
    parsed: dict[str, _ParsedFolder] = {}
    for split, (xml_folder, image_folder) in folders.items():
        requested = None if listed is None else {stem for stems in listed.values() for stem in stems}
        parsed[split] = _parse_folder(root, xml_folder, image_folder, requested, findings)
    found_classes = {name for files in parsed.values() for name in files.classes if name}
    names = tuple(classes) if classes is not None else tuple(sorted(found_classes))
    annotated = {
        split: _annotated_images(files, names, findings, ignore_difficult=ignore_difficult, first_pixel=first_pixel)
        for split, files in parsed.items()
    }
    if listed is None:
        return ParsedDataset(root, annotated, names, findings)
    stems = parsed["train"].stems
    splits = {
        split: annotated["train"].select(
            numpy.array([stems[stem] for stem in split_stems if stem in stems], dtype=numpy.int64)
        )
        for split, split_stems in listed.items()
    }
    return ParsedDataset(root, splits, names, findings)


def _parse_folder(
    root: Path, xml_folder: str, image_folder: str, requested: set[str] | None, findings: list[Finding]
) -> _ParsedFolder:
    images = {os.path.splitext(name)[0]: path for name, path in list_images(root, image_folder).items()}
    result = _ParsedFolder()
    files = sorted(name for name in os.listdir(root / xml_folder) if name.lower().endswith(".xml") and name[0] != ".")
    paired: set[str] = set()
    broken: list[str] = []
    missing: list[str] = []
    for file in files:
        stem = os.path.splitext(file)[0]
        if requested is not None and stem not in requested:
            continue
        location = os.path.join(xml_folder, file).replace(os.sep, "/")
        try:
            tree = ElementTree.parse(root / xml_folder / file).getroot()
        except (ElementTree.ParseError, UnicodeError, OSError, ValueError) as error:
            broken.append(f"{location} ({error})")
            paired.add(stem)
            continue
        key = stem if stem in images else os.path.splitext(os.path.basename(tree.findtext("filename") or ""))[0]
        if key not in images:
            missing.append(location)
            paired.add(stem)
            continue
        paired |= {key, stem}
        result.stems[stem] = len(result.names)
        result.names.append(images[key])
        result.sizes.append((_positive_int(tree.findtext("size/height")), _positive_int(tree.findtext("size/width"))))
        _parse_objects(tree, location, result)
    without_xml = sorted((requested if requested is not None else set(images)) - paired)
    findings += Finding.of("xml-broken", broken)
    findings += Finding.of("image-missing", missing)
    findings += Finding.of("image-unannotated", [images.get(stem, stem) for stem in without_xml])
    return result


def _parse_objects(tree: ElementTree.Element, file: str, result: _ParsedFolder) -> None:
    for number, element in enumerate(tree.findall("object"), start=1):
        box = element.find("bndbox")
        corners = (box.findtext(key) if box is not None else None for key in ("xmin", "ymin", "xmax", "ymax"))
        result.image.append(len(result.names) - 1)
        result.boxes.append([_number(corner) for corner in corners])
        result.classes.append((element.findtext("name") or "").strip())
        result.difficult.append((element.findtext("difficult") or "0").strip() == "1")
        result.locations.append(f"{file} object {number}")


def _annotated_images(
    files: _ParsedFolder, classes: Sequence[str], findings: list[Finding], *, ignore_difficult: bool, first_pixel: int
) -> AnnotatedImages:
    ids = {name: number for number, name in enumerate(classes)}
    labels = numpy.array([ids.get(name, -1) for name in files.classes], dtype=numpy.int64)
    unknown = [
        f"{files.locations[row]} is a '{files.classes[row]}'.{did_you_mean(files.classes[row], classes)}".rstrip(".")
        for row in numpy.flatnonzero(labels < 0)
        if files.classes[row]
    ]
    nameless = [location for location, name in zip(files.locations, files.classes, strict=True) if not name]
    findings += Finding.of("object-nameless", nameless)
    findings += Finding.of("object-unknown-class", unknown)
    labelled = numpy.flatnonzero(labels >= 0)
    boxes = numpy.array(files.boxes, dtype=numpy.float64).reshape(-1, 4)[labelled]
    # with inclusive corners a box of one pixel has equal corners, but in real files these are accidental clicks
    valid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes[valid, :2] -= first_pixel
    sizes = numpy.array(files.sizes, dtype=numpy.int64).reshape(-1, 2)
    image = numpy.array(files.image, dtype=numpy.int64)
    boxes, kept, box_findings = clean_boxes(boxes, sizes[image[labelled]], lambda row: files.locations[labelled[row]])
    findings += box_findings
    rows = labelled[kept]
    crowd = numpy.array(files.difficult)[rows] if ignore_difficult else None
    objects = Objects.from_columns(boxes, labels[rows], crowd=crowd)
    return AnnotatedImages(files.names, sizes, Annotations.from_sorted(objects, image[rows], num_images=len(sizes)))


def read_list(file: Path) -> list[str]:
    """The names, without suffix and repetitions, of the images that a file lists.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UserError(f"dataset.root: '{file}' cannot be read: {error}. Expected an image's name per line.") from None
    return list(
        dict.fromkeys(
            os.path.splitext(line.split()[0])[0] if "." in line else line.split()[0] for line in lines if line.strip()
        )
    )


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _positive_int(text: str | None) -> int:
    number = _number(text)
    return int(number) if number == number and 0 < number < 2**31 else 0
