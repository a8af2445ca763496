"""Which form a folder's data set has, from a bounded look at it: for the error of a reader that was given another form.

A few entries of a few folders are listed, and the beginning of a few files is read, however large the data set is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from visionkit.data.image_files import is_image_name, is_system_folder
from visionkit.data.sources.split_names import folder_split, is_folder, split_in
from visionkit.files import expand_user

__all__ = ["Form", "is_structure_name", "names_split", "other_form", "recognize"]

_MAX_FOLDERS, _MAX_ENTRIES, _MAX_DEPTH = 60, 200, 3
_MAX_READ, _MAX_BYTES = 4, 1 << 14

_IMAGE_FOLDERS = ("images", "imgs", "image", "img", "jpegimages")
_MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "segmentationclass")
_STRUCTURE = frozenset(
    {
        *_IMAGE_FOLDERS,
        *_MASK_FOLDERS,
        *(
            "annotation",
            "label",
            "imagesets",
            "segmentationobject",
            "leftimg8bit",
            "gtfine",
            "image_2",
            "label_2",
            "xml",
        ),
        *("instances", "polygons", "json"),
    }
)
_IMAGE_COLUMNS = frozenset(
    {"image", "img", "image_id", "image_path", "file", "filename", "file_name", "filepath", "path"}
)
_BENCHMARKS = ("ade20k", "cityscapes")  # whose files are those of a more general form too
_SPLIT_PART = re.compile(
    r"(images|labels|masks|imgs)[_-]?(train|val|valid|test|tr|ts)|(train|val|valid|test)[_-]?(masks?|labels?|annots?)"
)
_YOLO_LINE = re.compile(r"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*")
_KITTI_LINE = re.compile(r"\s*[A-Za-z]\w*(\s+-?\d+(\.\d+)?){14,15}\s*")


@dataclass(frozen=True)
class Form:
    """The form that a folder seems to have.

    Attributes:
        name: The form's name, for a message.
        dataset: The data set that reads it; None if none does.
        evidence: The path of a file or a folder that says so, relative to the folder.
        advice: What to do about a form that no data set reads, or only with further settings.
    """

    name: str
    dataset: str | None
    evidence: str
    advice: str = ""

    @property
    def sentence(self) -> str:
        """What the folder looks like and what to type."""
        remedy = self.advice or f"dataset={self.dataset}"
        return f"This looks like {self.name} ('{self.evidence}'): {remedy}"


@dataclass
class _Listing:
    """Some of a folder's files: their paths by ending, and the folders that hold images."""

    root: Path
    folders: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    image_folders: list[str] = field(default_factory=list)

    def heads(self, *endings: str) -> Iterator[tuple[str, str]]:
        """The paths and the beginnings of a few files of these endings, one of each folder before others."""
        paths = [path for ending in endings for path in self.files.get(ending, [])]
        first_of_folder = {os.path.dirname(path): path for path in reversed(paths)}
        chosen = dict.fromkeys([*first_of_folder.values(), *paths])
        for path in islice(chosen, _MAX_READ):
            yield path, _head(self.root / path)


def recognize(root: Path) -> list[Form]:
    """The forms that a folder's data set may have, the likeliest first; none if it is not known."""
    if not root.is_dir():
        return []
    listing = _list(root)
    return [form for rule in _RULES if (form := rule(listing)) is not None]


def other_form(root: str | None, dataset: str) -> Form | None:
    """The form that a folder seems to have, unless it may well have that of the data set it was given to.

    Args:
        root: The value of ``dataset.root``.
        dataset: The data set's name.
    """
    forms = recognize(expand_user(root)) if root else []
    likeliest = next(iter(forms), None)
    if likeliest is not None and likeliest.dataset in _BENCHMARKS:
        return likeliest if likeliest.dataset != dataset else None
    return None if any(form.dataset == dataset for form in forms) else likeliest


def is_structure_name(name: str) -> bool:
    """Whether a folder is named after a split or a part of a data set: ``images``, ``train2017``, ``labelsTr``."""
    return folder_split(name) is not None or _is_part(name)


def names_split(name: str) -> bool:
    """Whether a folder's name has a word for a split in it, as ``train_aug`` and ``imagesTr``."""
    return split_in(name) is not None or _SPLIT_PART.fullmatch(name.lower()) is not None


def _is_part(name: str) -> bool:
    return name.lower() in _STRUCTURE or _SPLIT_PART.fullmatch(name.lower()) is not None


def _list(root: Path) -> _Listing:
    listing, pending = _Listing(root), [("", 0)]
    while pending and len(listing.folders) < _MAX_FOLDERS:
        inner, depth = pending.pop(0)
        prefix = f"{inner}/" if inner else ""
        listing.folders.append(inner)
        try:
            with os.scandir(root / inner) as entries:
                found = sorted(islice(entries, _MAX_ENTRIES), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            if is_system_folder(entry.name):
                continue
            if is_folder(entry):
                pending += [(prefix + entry.name, depth + 1)] if depth < _MAX_DEPTH else []
            elif is_image_name(entry.name):
                listing.image_folders += [] if inner in listing.image_folders[-1:] else [inner]
            else:
                ending = os.path.splitext(entry.name)[1].lower()
                listing.files.setdefault(ending, []).append(prefix + entry.name)
    return listing


def _head(file: Path) -> str:
    """The beginning and the end of a file; empty if it is no regular file or cannot be read."""
    try:
        if not file.is_file():
            return ""
        with open(file, "rb") as stream:
            head = stream.read(_MAX_BYTES)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(len(head), size - _MAX_BYTES))
            tail = stream.read(_MAX_BYTES)
    except OSError:
        return ""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return (head + b"\n" + tail).decode(encoding, errors="replace").lstrip("\ufeff")


def _cityscapes(listing: _Listing) -> Form | None:
    folder = next((f for f in listing.folders if os.path.basename(f) == "leftImg8bit"), None)
    return None if folder is None else Form("Cityscapes", "cityscapes", folder)


def _ade20k(listing: _Listing) -> Form | None:
    folder = next((f for f in listing.folders if f.endswith("annotations/training")), None)
    return None if folder is None else Form("ADE20K", "ade20k", folder)


def _xml(listing: _Listing) -> Form | None:
    masks = next((f for f in listing.folders if os.path.basename(f) == "SegmentationClass"), None)
    if masks is not None:
        return Form("Pascal VOC", "voc", masks)
    for path, head in listing.heads(".xml"):
        if "<annotations" in head and ("<image " in head or "<track" in head or "<meta>" in head):
            advice = "export it from CVAT as 'COCO 1.0' and type dataset=coco"
            return Form("CVAT's own XML", None, path, advice)
        if "<annotation" in head and ("<object" in head or "<filename" in head):
            return Form("Pascal VOC", "voc", path)
    return None


def _json(listing: _Listing) -> Form | None:
    for path, head in listing.heads(".json"):
        if '"_via_' in head or ('"regions"' in head and '"shape_attributes"' in head):
            advice = "export it from VIA by Annotation > Export Annotations (COCO format) and type dataset=coco"
            return Form("the VGG Image Annotator's JSON", None, path, advice)
        if '"shapes"' in head and ('"imagePath"' in head or '"imageData"' in head or '"points"' in head):
            advice = "convert it, for instance with: pip install labelme2coco; then type dataset=coco"
            return Form("labelme's JSON files", None, path, advice)
        if '"images"' in head and any(key in head for key in ('"annotations"', '"categories"', '"bbox"')):
            return Form("COCO", "coco", path)
        if '"coordinates"' in head and '"image"' in head:
            advice = "convert it to COCO's form and type dataset=coco"
            return Form("Create ML's JSON", None, path, advice)
        if '"file_name"' in head and ('"bbox"' in head or '"segmentation"' in head):
            return Form("COCO", "coco", path)
    return None


def _text(listing: _Listing) -> Form | None:
    for path, head in listing.heads(".txt"):
        line = next((line for line in head.splitlines() if line.strip()), "")
        if _KITTI_LINE.fullmatch(line):
            advice = "convert the boxes to COCO's or YOLO's form and type dataset=coco or dataset=yolo"
            return Form("KITTI", None, path, advice)
        if _YOLO_LINE.fullmatch(line):
            return Form("YOLO", "yolo", path)
    for path, head in listing.heads(".yaml", ".yml"):
        if re.search(r"(?m)^names\s*:", head) and re.search(r"(?m)^(train|val|nc|path)\s*:", head):
            return Form("YOLO", "yolo", path)
    return None


def _table(listing: _Listing) -> Form | None:
    for path, head in listing.heads(".csv", ".tsv"):
        lines = head.splitlines()
        columns = {column.strip().strip('"').lower() for column in re.split(r"[,;\t]", lines[0])} if lines else set()
        if columns & {"xmin", "x_min", "bbox"}:
            advice = "convert the boxes to COCO's or YOLO's form and type dataset=coco or dataset=yolo"
            return Form("a table of boxes", None, path, advice)
        if columns & _IMAGE_COLUMNS and len(columns) > 1:
            return Form("a table of images and labels", "table", path)
    return None


def _masks(listing: _Listing) -> Form | None:
    names = {folder: [part.lower() for part in folder.split("/")] for folder in listing.image_folders}
    masks = next((folder for folder, parts in names.items() if set(parts) & set(_MASK_FOLDERS)), None)
    has_images = any(set(parts) & set(_IMAGE_FOLDERS) for parts in names.values())
    return Form("images with a mask each", "masks", masks) if masks is not None and has_images else None


def _masks_beside(listing: _Listing) -> Form | None:
    """Folders such as ``train_images`` and ``train_masks``, ``imagesTr`` and ``labelsTr``, ``train`` and its masks."""
    masks = [f for f in listing.image_folders if _SPLIT_PART.fullmatch(f.lower()) and not f.lower().startswith("im")]
    train = next((folder for folder in masks if "tr" in folder.lower()), None)
    if train is None:
        return None
    is_images = (f for f in listing.image_folders if re.fullmatch(r"(im\w*[_-]?)?tr(ain)?([_-]?im\w*)?", f.lower()))
    images = next(is_images, None)
    return None if images is None else Form("images with a mask each", "masks", train)


def _classes(listing: _Listing) -> Form | None:
    by_parent: dict[str, list[str]] = {}
    for folder in filter(None, listing.image_folders):
        if folder_split(os.path.basename(folder)) is None and not any(map(_is_part, folder.split("/"))):
            by_parent.setdefault(os.path.dirname(folder), []).append(folder)
    folders = next((folders for folders in by_parent.values() if len(folders) >= 2), None)
    return None if folders is None else Form("a folder of images per class", "folder", folders[0])


_RULES: tuple[Callable[[_Listing], Form | None], ...] = (
    _cityscapes,
    _ade20k,
    _xml,
    _json,
    _text,
    _table,
    _masks,
    _masks_beside,
    _classes,
)
