"""The layout of Pascal VOC folders (Everingham et al. 2010, development kit): XML files, images, split lists, masks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from visionkit.data.image_files import is_image_name, is_system_folder, walk_images
from visionkit.data.sources.split_names import SPLIT_NAMES, normal_name, split_in, split_of
from visionkit.data.sources.voc.xml_folder import xml_names
from visionkit.errors import UserError

__all__ = ["find_mask_parent", "image_folder", "split_lists", "xml_folders"]

_IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "imgs", "jpg")
_XML_FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels")
_MAX_DEPTH = 3


def xml_folders(root: Path, annotations: str | None) -> dict[str, str]:
    """The folder of the XML files of each split, relative to the root; only ``train`` if there is one folder.

    Args:
        root: The data set's folder.
        annotations: The folder relative to the root; None searches for it.

    Raises:
        UserError: If there is no folder with XML files, or several that are not named after splits.
    """
    if annotations is not None:
        if not (root / annotations).is_dir():
            raise UserError(
                f"dataset.annotations: there is no folder '{annotations}' in '{root}'. Expected the folder of "
                "the XML files, relative to dataset.root. Try: dataset.annotations=Annotations"
            )
        if not xml_names(root / annotations):
            raise UserError(
                f"dataset.annotations: the folder '{root / annotations}' holds no XML file: no annotation at "
                "all. Expected one XML file per image."
            )
        return {"train": annotations}
    folders = [folder for folder in _folders(root, "", _MAX_DEPTH) if _holds_xml(root / folder)]
    if not folders:
        raise UserError(
            f"dataset.root: no annotation at all: no XML file in '{root}' or its folders. "
            "Expected Annotations/*.xml and JPEGImages/*.jpg."
        )
    by_split: dict[str, list[str]] = {}
    for folder in folders:
        by_split.setdefault(_names_split(folder) or "", []).append(folder)
    if len(by_split) == 1:
        by_split = {"train": folders}
    if "" in by_split or "train" not in by_split:
        raise UserError(
            f"dataset.root: several folders below '{root}' hold XML files: {', '.join(folders)}. Expected one, or "
            "one in each of train, valid and test. Move them together, or say which one is the whole data set: "
            "dataset.annotations=FOLDER"
        )
    return {split: _common_folder(root, by_split[split]) for split in SPLIT_NAMES if split in by_split}


def image_folder(root: Path, annotation_folder: str, images: str | None) -> str:
    """The folder of the images that belong to XML files or masks, relative to the root.

    Args:
        root: The data set's folder.
        annotation_folder: The folder of the XML files or masks, relative to the root.
        images: The folder of the images, relative to the root; None searches for it.

    Raises:
        UserError: If there is no folder with images.
    """
    if images is not None:
        if not (root / images).is_dir():
            raise UserError(
                f"dataset.images: there is no folder '{images}' in '{root}'. Expected the folder of the "
                "images, relative to dataset.root. Try: dataset.images=JPEGImages"
            )
        return images
    parent = os.path.dirname(annotation_folder)
    candidates = [f"{parent}/{name}" if parent else name for name in _IMAGE_FOLDERS]
    for folder in (*candidates, annotation_folder, parent):
        if (root / folder).is_dir() and next(walk_images(root / folder), None) is not None:
            return folder
    raise UserError(
        f"dataset.root: no images beside '{root / annotation_folder}'. Expected them in {', '.join(candidates)}. "
        "Or say where they are: dataset.images=folder"
    )


def split_lists(base: Path, kind: str) -> Mapping[str, Path] | None:
    """The text files that list the images of each split; None if there are none.

    Without ``train.txt``, train is listed by ``trainval.txt``, which holds val too.

    Args:
        base: The folder that holds ``ImageSets``.
        kind: ``Main`` or ``Segmentation``.

    Raises:
        UserError: If there are lists, but none for train.
    """
    for folder in (base / "ImageSets" / kind, base / "ImageSets"):
        if not folder.is_dir():
            continue
        files = {normal_name(file.stem): file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".txt"}
        trainval = files.pop("trainval", None)
        lists = {
            split: files[name] for split, names in SPLIT_NAMES.items() for name in reversed(names) if name in files
        }
        if "train" not in lists and trainval is not None:
            lists = {**lists, "train": trainval}
        if not lists:
            continue
        if "train" not in lists:
            raise UserError(
                f"dataset.root: '{folder}' has {', '.join(file.name for file in lists.values())} but no train.txt. "
                "Expected a list of the training images. Remove the folder to let visionkit divide them."
            )
        return lists
    return None


def find_mask_parent(root: Path) -> str:
    """The path from the root to the parent of ``SegmentationClass``, empty or ending in a slash.

    Raises:
        UserError: If there is no such folder.
    """
    inner = next((f for f in _folders(root, "", _MAX_DEPTH) if (root / f / "SegmentationClass").is_dir()), None)
    if inner is None:
        raise UserError(
            f"dataset.root: no folder SegmentationClass in '{root}' or its folders. Expected masks there, "
            "SegmentationClass/*.png, and the images in JPEGImages/. Masks elsewhere are read by: dataset=masks"
        )
    return f"{inner}/" if inner else ""


def _common_folder(root: Path, folders: Sequence[str]) -> str:
    """The folder that holds these ones of XML files, as one of each class.

    Raises:
        UserError: If they may be several annotations of the same images, or parts that their names do not say.
    """
    if len(folders) == 1:
        return folders[0]
    parent = os.path.commonpath(folders)
    inner = [os.path.relpath(folder, parent or ".") for folder in folders]
    first_of: dict[str, str] = {}
    repeated = next(
        (
            f"{first_of[name]}/{name} and {folder}/{name}"
            for folder in folders
            for name in xml_names(root / folder)
            if first_of.setdefault(name, folder) != folder
        ),
        "",
    )
    is_apart = os.path.basename(parent).lower() in _XML_FOLDERS or all(_holds_image(root / f) for f in folders)
    if parent in folders or any(map(split_in, inner)) or (repeated and not is_apart):
        found = f"; of one name are {repeated}" if repeated and parent not in folders else ""
        raise UserError(
            f"dataset.root: several folders below '{root}' hold XML files: {', '.join(folders)}{found}. Expected one, "
            "or one in each of train, valid and test, or one of each class, in which each file has a name of its own. "
            "Move them together, or say which one is the whole data set: dataset.annotations=FOLDER"
        )
    return parent


def _names_split(folder: str) -> str | None:
    return next(filter(None, map(split_of, folder.split("/"))), None)


def _folders(root: Path, inner: str, depth: int) -> Iterator[str]:
    """The folders of a tree, relative to its root, parents before their children."""
    yield inner
    if depth:
        for name in sorted(os.listdir(root / inner)):
            if not is_system_folder(name) and (root / inner / name).is_dir():
                yield from _folders(root, f"{inner}/{name}" if inner else name, depth - 1)


def _holds_xml(folder: Path) -> bool:
    return any(name.lower().endswith(".xml") and not name.startswith(".") for name in os.listdir(folder))


def _holds_image(folder: Path) -> bool:
    return any(map(is_image_name, os.listdir(folder)))
