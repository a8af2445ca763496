"""Pascal VOC: an XML file per image (Everingham et al. 2010, development kit).

Understood are ``Annotations/`` and ``JPEGImages/`` with or without ``ImageSets/Main/{train,val,test}.txt``, other names
of these folders, and ``train/``, ``valid/``, ``test/`` with images and XML files in each. Masks are read from
``SegmentationClass/`` and ``SegmentationObject/``, divided by ``ImageSets/Segmentation/``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from visionkit.data.sources.base import SOURCES, Source, existing_root
from visionkit.data.sources.folder.layout import SPLIT_FOLDERS
from visionkit.data.sources.object_source import DetectionSource
from visionkit.data.sources.split_files import SplitFiles
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.sources.annotations import ParsedDataset
    from visionkit.data.sources.voc.masks import VocMasks

__all__ = ["Voc"]

_IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "imgs", "jpg")
_DEPTH = 3


@SOURCES.register("voc")
@dataclass(frozen=True, kw_only=True)
class Voc(DetectionSource):
    """Images with an XML file each, or with a mask of classes and one of objects.

    Attributes:
        annotations: The folder of the XML files, relative to ``root``; null looks for it.
        images: The folder of the images; null looks for it.
        classes: Class names in the order of their ids; null takes those found in the files, sorted, and for masks those
            of ``labelmap.txt`` or the 20 of VOC; there the background, which is not named here, comes first.
        difficult: ``keep`` takes objects marked as difficult as any other; ``ignore`` neither trains on them nor counts
            them as hit or missed, as the VOC challenge does.
        first_pixel: The coordinate of the first pixel; VOC and labelImg count from 1 and include the last pixel.
    """

    annotations: str | None = None
    images: str | None = None
    classes: tuple[str, ...] | None = None
    difficult: Literal["keep", "ignore"] = "keep"
    first_pixel: Literal[0, 1] = 1

    expected: ClassVar[str] = "Annotations/*.xml and JPEGImages/*.jpg"

    def serving(self, target: str) -> Source:
        return self._masks() if target == "mask" else super().serving(target)

    def read(self) -> ParsedDataset[Any]:
        from visionkit.data.sources.voc.masks import read_voc_objects
        from visionkit.data.sources.voc.reader import read_voc

        if self.target == "instances":
            masks = self._masks()
            return read_voc_objects(masks, masks.read())
        root = existing_root(self.root, name=self.name, expected=self.expected)
        folders = self._xml_folders(root)
        lists = None
        if list(folders) == ["train"]:
            lists = self.lists((root / folders["train"]).parent, "Main")
        return read_voc(
            root,
            {split: (folder, self.image_folder(root, folder)) for split, folder in folders.items()},
            lists=lists,
            classes=self.classes,
            ignore_difficult=self.difficult == "ignore",
            first_pixel=self.first_pixel,
        )

    def _xml_folders(self, root: Path) -> dict[str, str]:
        """The folder of the XML files, relative to the root, of each split; ``train`` alone where there is one."""
        if self.annotations is not None:
            if not (root / self.annotations).is_dir():
                raise UserError(
                    f"dataset.annotations: there is no folder '{self.annotations}' in '{root}'. Expected the folder of "
                    "the XML files, relative to dataset.root. Try: dataset.annotations=Annotations"
                )
            if not _holds_xml(root / self.annotations):
                raise UserError(
                    f"dataset.annotations: the folder '{root / self.annotations}' holds no XML file: no annotation at "
                    "all. Expected one XML file per image."
                )
            return {"train": self.annotations}
        found = [folder for folder in _folders(root, "", _DEPTH) if _holds_xml(root / folder)]
        if not found:
            raise UserError(
                f"dataset.root: no annotation at all: no XML file in '{root}' or its folders. Expected {self.expected}."
            )
        if len(found) == 1:
            return {"train": found[0]}
        splits = {
            split: folder
            for folder in found
            for split, names in SPLIT_FOLDERS.items()
            if folder.split("/")[0].lower() in names
        }
        if len(splits) < len(found) or "train" not in splits:
            raise UserError(
                f"dataset.root: several folders below '{root}' hold XML files: {', '.join(found)}. Expected one, or "
                f"one in each of train, valid and test. Try: dataset.annotations={found[0]}"
            )
        return splits

    def image_folder(self, root: Path, other_folder: str) -> str:
        """The folder of the images that belong to XML files or masks, relative to the root.

        Args:
            root: The data set's folder.
            other_folder: That of the XML files or masks, relative to the root.

        Raises:
            UserError: If there is none.
        """
        from visionkit.data.images import walk_images

        if self.images is not None:
            if not (root / self.images).is_dir():
                raise UserError(
                    f"dataset.images: there is no folder '{self.images}' in '{root}'. Expected the folder of the "
                    "images, relative to dataset.root. Try: dataset.images=JPEGImages"
                )
            return self.images
        parent = os.path.dirname(other_folder)
        beside = [f"{parent}/{name}" if parent else name for name in _IMAGE_FOLDERS]
        for folder in (*beside, other_folder, parent):
            if (root / folder).is_dir() and next(walk_images(root / folder), None) is not None:
                return folder
        raise UserError(
            f"dataset.root: no images beside '{root / other_folder}'. Expected them in {', '.join(beside)}. "
            "Or say where they are: dataset.images=folder"
        )

    def lists(self, home: Path, kind: str) -> Mapping[str, Path] | None:
        """The files that say which image belongs to which split, if there are any.

        Args:
            home: The folder that holds ``ImageSets``.
            kind: ``Main`` or ``Segmentation``.

        Raises:
            UserError: If there are lists, but none of the training images.
        """
        for folder in (home / "ImageSets" / kind, home / "ImageSets"):
            files = {name: folder / f"{name}.txt" for name in ("train", "val", "test", "trainval")}
            found = {name: file for name, file in files.items() if file.is_file()}
            everything = found.pop("trainval", None)
            if "train" not in found and everything is not None:
                found = {**found, "train": everything}
                found.pop("val", None)
            if not found:
                continue
            if "train" not in found:
                raise UserError(
                    f"dataset.root: '{folder}' has {', '.join(file.name for file in found.values())} but no train.txt. "
                    "Expected a list of the training images. Remove the folder to let visionkit divide them."
                )
            return found
        return None

    def mask_home(self) -> tuple[Path, str]:
        """The root, and the path from there to what lies above ``SegmentationClass``, ending in a slash or empty.

        Raises:
            UserError: If there is no such folder.
        """
        root = existing_root(self.root, name=self.name, expected="SegmentationClass/*.png and JPEGImages/*.jpg")
        inner = next((f for f in _folders(root, "", _DEPTH) if (root / f / "SegmentationClass").is_dir()), None)
        if inner is None:
            raise UserError(
                f"dataset.root: no folder SegmentationClass in '{root}' or its folders. Expected masks there, "
                "SegmentationClass/*.png, and the images in JPEGImages/. Masks elsewhere are read by: dataset=masks"
            )
        return root, f"{inner}/" if inner else ""

    def _masks(self) -> VocMasks:
        from visionkit.data.sources.voc.masks import VocMasks

        return VocMasks(voc=self, **{field.name: getattr(self, field.name) for field in fields(SplitFiles)})


def _folders(root: Path, inner: str, depth: int) -> Iterator[str]:
    """The folders of a tree, relative to its root, those above before those below."""
    yield inner
    if depth:
        for name in sorted(os.listdir(root / inner)):
            if not name.startswith((".", "__MACOSX")) and (root / inner / name).is_dir():
                yield from _folders(root, f"{inner}/{name}" if inner else name, depth - 1)


def _holds_xml(folder: Path) -> bool:
    return any(name.lower().endswith(".xml") and not name.startswith(".") for name in os.listdir(folder))
