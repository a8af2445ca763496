"""The XML files of a folder of Pascal VOC's form, each with its image and its objects."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from visionkit.data.findings import Finding
from visionkit.data.image_files import is_system_folder
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.same_names import by_folded_name
from visionkit.data.sources.voc.names import find_stem, stem_of, unique_base_names
from visionkit.data.sources.voc.xml_files import XmlError, parse_xml
from visionkit.text import fold_name, normal_form

__all__ = ["XmlFile", "XmlObject", "read_xml_folder", "xml_names"]

_TRUE = ("1", "true", "yes")


@dataclass(frozen=True)
class XmlObject:
    """An object as it is written.

    Attributes:
        name: The class, empty if none is given.
        box: x_min, y_min, x_max and y_max, NaN for what is no number.
        difficult: Whether it is marked as difficult.
        location: The file and the number of the object.
    """

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    location: str


@dataclass(frozen=True)
class XmlFile:
    """An XML file whose image exists.

    Attributes:
        stem: Its path from the folder of the XML files without ending.
        location: Its path from the root.
        image: The path of its image from the root.
        size: Height and width that it gives, 0 where unknown.
        objects: Its objects.
    """

    stem: str
    location: str
    image: str
    size: tuple[int, int]
    objects: list[XmlObject]


def xml_names(folder: Path) -> list[str]:
    """The sorted paths of a folder's XML files; those in the folders below it if it holds none itself."""
    for depth in range(2):
        found: list[str] = []
        for outer, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if depth and not is_system_folder(name)]
            paths = [os.path.join(outer, name) for name in names if name.lower().endswith(".xml") and name[0] != "."]
            found += [os.path.relpath(path, folder).replace(os.sep, "/") for path in paths if os.path.isfile(path)]
        if found:
            return sorted(found)
    return []


def read_xml_folder(
    image_lists: ImageLists, xml_folder: str, image_folder: str, requested: set[str] | None, findings: list[Finding]
) -> list[XmlFile]:
    """Read the XML files of a folder.

    A file's image is that of its own name, else that of the file name in it. Where no file is paired so, an image in a
    folder below is taken by its base name, and it is said; where others are, it is another picture.

    Args:
        image_lists: Lists the images.
        xml_folder: The folder of the XML files, relative to the root.
        image_folder: The folder of the images, relative to the root.
        requested: The stems of the files to read; None reads all.
        findings: A list to which is appended what is dropped or doubtful.
    """
    root, images = image_lists.root, _FolderImages(image_lists.images(image_folder))
    files: list[XmlFile] = []
    by_base: list[XmlFile] = []
    paired, broken, missing, other_case = set[str](), list[str](), list[str](), list[str]()
    names = {name: normal_form(os.path.splitext(name)[0]) for name in xml_names(root / xml_folder)}
    own_stems = set(names.values())
    for name, stem in names.items():
        other_stem = images.stem_in_other_case(stem, own_stems)
        if requested is not None and stem not in requested and other_stem not in requested:
            continue
        location = f"{xml_folder}/{name}" if xml_folder else name
        paired.add(stem)
        try:
            tree = parse_xml(root / xml_folder / name)
        except XmlError as error:
            broken.append(f"{location} ({error})")
            continue
        path, is_exact = images.find(stem, (tree.findtext("filename") or "").strip())
        if path is None and other_stem is not None:
            path, is_exact = images.paths[other_stem], True
            other_case.append(f"{path} and {location}")
        if path is None:
            missing.append(location)
            continue
        size = (_positive_int(tree.findtext("size/height")), _positive_int(tree.findtext("size/width")))
        (files if is_exact else by_base).append(XmlFile(stem, location, path, size, _objects(tree, location)))
    if files:
        missing += [file.location for file in by_base]
    else:
        findings += Finding.of("image-found-elsewhere", [f"{file.location} ({file.image})" for file in by_base])
        files = by_base
    used = {file.image for file in files}
    paired |= {images.stems[path] for path in used}
    without_xml = sorted((requested if requested is not None else set(images.paths)) - paired)
    findings += Finding.of("name-other-case", other_case)
    findings += Finding.of("xml-broken", broken)
    findings += Finding.of("image-missing", sorted(missing))
    findings += Finding.of("image-unannotated", [images.paths.get(stem, stem) for stem in without_xml])
    findings += Finding.of("name-repeated", images.unused_twins(used))
    return files


class _FolderImages:
    """The images of a folder by their names.

    Args:
        files: The path from the root of each image, by its path from the folder.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.stems = {path: normal_form(os.path.splitext(name)[0]) for name, path in files.items()}
        self.paths: dict[str, str] = {}
        for path, stem in self.stems.items():
            self.paths.setdefault(stem, path)
        self._by_folded = by_folded_name(self.paths)
        self._by_base = unique_base_names(self.paths)

    def find(self, xml_stem: str, file_name: str) -> tuple[str | None, bool]:
        """The path of the image that an XML file belongs to, and whether it was found by more than its base name."""
        exact = find_stem(xml_stem, self.paths) or find_stem(file_name, self.paths)
        stem = exact or self._by_base.get(xml_stem) or self._by_base.get(normal_form(stem_of(file_name)))
        if stem is None:
            return None, False
        named = self.files.get(file_name.replace("\\", "/"))  # of files that differ in their ending the one it gives
        path = named if named is not None and self.stems[named] == stem else self.paths[stem]
        return path, exact is not None

    def stem_in_other_case(self, xml_stem: str, xml_stems: Collection[str]) -> str | None:
        """The only image's stem that is that of an XML file in another case, and no other file's."""
        stem = self._by_folded.get(fold_name(xml_stem))
        return None if stem in xml_stems else stem

    def unused_twins(self, used: set[str]) -> list[str]:
        """The images that are named like a used one but for the ending."""
        used_stems = {self.stems[path] for path in used}
        return [path for path, stem in self.stems.items() if path not in used and stem in used_stems]


def _objects(tree: ElementTree.Element, file: str) -> list[XmlObject]:
    objects = []
    for number, element in enumerate(tree.findall("object"), start=1):
        corners = element.find("bndbox")
        x_min, y_min, x_max, y_max = (
            _number(corners.findtext(key) if corners is not None else None) for key in ("xmin", "ymin", "xmax", "ymax")
        )
        name = normal_form((element.findtext("name") or "").strip())
        difficult = (element.findtext("difficult") or "").strip().lower() in _TRUE
        objects.append(XmlObject(name, (x_min, y_min, x_max, y_max), difficult, f"{file} object {number}"))
    return objects


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _positive_int(text: str | None) -> int:
    number = _number(text)
    return int(number) if number == number and 0 < number < 2**31 else 0
