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
from visionkit.data.image_header import read_size
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset, clean_boxes
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.split_names import split_of
from visionkit.data.sources.voc.names import find_stem, read_list, stem_of, unique_base_names
from visionkit.data.sources.voc.xml_files import XmlError, parse_xml
from visionkit.errors import UserError, did_you_mean

__all__ = ["read_voc"]


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
    image_lists = ImageLists(root, own_endings={".xml"})
    listed = None if lists is None else _read_lists(image_lists, folders["train"], lists, findings)
    requested = None if listed is None else {stem for stems in listed.values() for stem in stems}
    parsed = {
        split: _parse_folder(image_lists, xml_folder, image_folder, requested, findings)
        for split, (xml_folder, image_folder) in folders.items()
    }
    findings += image_lists.findings()
    found_classes = {name for files in parsed.values() for name in files.classes if name}
    names = tuple(classes) if classes is not None else tuple(sorted(found_classes))
    annotated = {
        split: _annotated_images(files, names, findings, ignore_difficult=ignore_difficult, first_pixel=first_pixel)
        for split, files in parsed.items()
    }
    if listed is None:
        is_named = any(map(split_of, folders["train"][0].split("/")))
        return ParsedDataset(root, annotated, names, findings, names_splits=is_named)
    stems = parsed["train"].stems
    splits = {
        split: annotated["train"].select(
            numpy.array([stems[stem] for stem in split_stems if stem in stems], dtype=numpy.int64)
        )
        for split, split_stems in listed.items()
    }
    empty = next((split for split in ("train", "val") if split in splits and not len(splits[split])), None)
    if empty is not None:
        details = "".join(f" {finding.note}." for finding in findings)
        raise UserError(f"dataset.root: nothing is left for {empty} in '{root}', which has a list.{details}")
    splits = {split: images for split, images in splits.items() if len(images)}
    return ParsedDataset(root, splits, names, findings, names_splits=True)


def _read_lists(
    image_lists: ImageLists, folders: tuple[str, str], lists: Mapping[str, Path], findings: list[Finding]
) -> dict[str, list[str]]:
    """The stems of the images that each split's list names; names without an image and an XML file are left out."""
    xml_folder, image_folder = folders
    known = {os.path.splitext(name)[0] for name in _xml_names(image_lists.root / xml_folder)}
    known |= {os.path.splitext(name)[0] for name in image_lists.images(image_folder)}
    listed: dict[str, list[str]] = {}
    for split, file in lists.items():
        stems = {line: find_stem(line, known) for line in read_list(file)}
        findings += Finding.of("image-listed-missing", [line for line, stem in stems.items() if not stem], split=split)
        listed[split] = list(dict.fromkeys(stem for stem in stems.values() if stem))
    return listed


def _parse_folder(
    image_lists: ImageLists, xml_folder: str, image_folder: str, requested: set[str] | None, findings: list[Finding]
) -> _ParsedFolder:
    root, images = image_lists.root, _FolderImages(image_lists.images(image_folder))
    result = _ParsedFolder()
    paired: set[str] = set()
    broken: list[str] = []
    missing: list[str] = []
    for file in _xml_names(root / xml_folder):
        stem = os.path.splitext(file)[0]
        if requested is not None and stem not in requested:
            continue
        location = os.path.join(xml_folder, file).replace(os.sep, "/")
        paired.add(stem)
        try:
            tree = parse_xml(root / xml_folder / file)
        except XmlError as error:
            broken.append(f"{location} ({error})")
            continue
        path = images.find(stem, (tree.findtext("filename") or "").strip())
        if path is None:
            missing.append(location)
            continue
        paired.add(images.stems[path])
        result.stems[stem] = len(result.names)
        result.names.append(path)
        result.sizes.append((_positive_int(tree.findtext("size/height")), _positive_int(tree.findtext("size/width"))))
        _parse_objects(tree, location, result)
    without_xml = sorted((requested if requested is not None else set(images.paths)) - paired)
    findings += Finding.of("xml-broken", broken)
    findings += Finding.of("image-missing", missing)
    findings += Finding.of("image-unannotated", [images.paths.get(stem, stem) for stem in without_xml])
    findings += Finding.of("name-repeated", images.unused_twins(set(result.names)))
    _read_missing_sizes(root, result, findings)
    return result


class _FolderImages:
    """The images of a folder by their names.

    Args:
        files: The path from the root of each image, by its path from the folder.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.stems = {path: os.path.splitext(name)[0] for name, path in files.items()}
        self.paths: dict[str, str] = {}
        for path, stem in self.stems.items():
            self.paths.setdefault(stem, path)
        self._by_base = unique_base_names(self.paths)

    def find(self, xml_stem: str, file_name: str) -> str | None:
        """The path of the image that an XML file belongs to: by its own name, else by the file name that it gives."""
        stem = find_stem(xml_stem, self.paths) or find_stem(file_name, self.paths)
        stem = stem or self._by_base.get(xml_stem) or self._by_base.get(stem_of(file_name))
        if stem is None:
            return None
        named = self.files.get(file_name.replace("\\", "/"))  # of files that differ in their ending the one it gives
        return named if named is not None and self.stems[named] == stem else self.paths[stem]

    def unused_twins(self, used: set[str]) -> list[str]:
        """The images that are named like a used one but for the ending."""
        used_stems = {self.stems[path] for path in used}
        return [path for path, stem in self.stems.items() if path not in used and stem in used_stems]


def _xml_names(folder: Path) -> list[str]:
    names = (name for name in os.listdir(folder) if name.lower().endswith(".xml") and name[0] != ".")
    return sorted(name for name in names if (folder / name).is_file())


def _read_missing_sizes(root: Path, result: _ParsedFolder, findings: list[Finding]) -> None:
    """Take the sizes that the XML files lack, or give as 0, from the headers of the images."""
    rows = [row for row, size in enumerate(result.sizes) if 0 in size]
    for row in rows:
        try:
            result.sizes[row] = read_size(root / result.names[row])
        except UserError:
            result.sizes[row] = (0, 0)
    findings += Finding.of("size-missing", [result.names[row] for row in rows])


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


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _positive_int(text: str | None) -> int:
    number = _number(text)
    return int(number) if number == number and 0 < number < 2**31 else 0
