"""Pascal VOC: an XML file per image (Everingham et al. 2010, development kit).

Supported layouts are ``Annotations/`` and ``JPEGImages/``, with or without ``ImageSets/Main/{train,val,test}.txt``,
other names of these folders, and ``train/``, ``valid/``, ``test/`` with images and XML files in each. Masks are read
from ``SegmentationClass/`` and ``SegmentationObject/``, their splits from ``ImageSets/Segmentation/``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from visionkit.data.sources.base import Source
from visionkit.data.sources.detection_source import DetectionSource
from visionkit.data.sources.masks.source import MaskSource
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_files import SplitFiles
from visionkit.data.sources.unread_splits import find_unread_splits
from visionkit.data.sources.voc.layout import image_folder, split_lists, xml_folders

if TYPE_CHECKING:
    from visionkit.data.sources.annotations import ParsedDataset
    from visionkit.data.sources.masks.pairs import ParsedMasks

__all__ = ["Voc", "VocMasks"]


@dataclass(frozen=True, kw_only=True)
class VocMasks(MaskSource):
    """Images with a class mask each.

    Attributes:
        images: The folder of the images, relative to ``root``; null searches for it.
        classes: Class names without the background; null takes those of ``labelmap.txt``, else VOC's 20.
        dataset_name: The data set's name in the configuration.
    """

    images: str | None
    classes: tuple[str, ...] | None
    dataset_name: str

    expected: ClassVar[str] = "SegmentationClass/*.png and JPEGImages/*.jpg"

    @property
    def name(self) -> str:
        return self.dataset_name

    def read(self) -> ParsedMasks:
        from visionkit.data.sources.voc.masks import read_class_masks

        root = existing_root(self.root, name=self.name, expected=self.expected)
        return read_class_masks(self, root, images=self.images, classes=self.classes)


@dataclass(frozen=True, kw_only=True)
class Voc(DetectionSource):
    """Images with an XML file each, or with a class mask and an object mask each.

    Attributes:
        annotations: The folder of the XML files, relative to ``root``; null searches for it.
        images: The folder of the images, relative to ``root``; null searches for it.
        classes: Class names in the order of their ids, without the background. null takes those in the XML files,
            sorted; for masks those of ``labelmap.txt``, else VOC's 20.
        difficult: ``keep`` uses difficult objects like others; ``ignore`` excludes them from training and evaluation,
            as the VOC challenge does.
        first_pixel: The coordinate of the first pixel; VOC and labelImg count from 1 and include the last pixel.
    """

    annotations: str | None
    images: str | None
    classes: tuple[str, ...] | None
    difficult: Literal["keep", "ignore"]
    first_pixel: Literal[0, 1]

    expected: ClassVar[str] = "Annotations/*.xml and JPEGImages/*.jpg"

    def for_target(self, target: str) -> Source:
        if target != "mask":
            return super().for_target(target)
        shared = {field.name: getattr(self, field.name) for field in fields(SplitFiles)}
        return VocMasks(**shared, images=self.images, classes=self.classes, dataset_name=self.name)

    def read(self) -> ParsedDataset[Any]:
        from visionkit.data.sources.voc.masks import read_class_masks, read_mask_objects
        from visionkit.data.sources.voc.reader import read_voc

        if self.target == "instances":
            root = existing_root(self.root, name=self.name, expected=VocMasks.expected)
            return read_mask_objects(read_class_masks(self, root, images=self.images, classes=self.classes))
        root = existing_root(self.root, name=self.name, expected=self.expected)
        folders = xml_folders(root, self.annotations)
        lists = None
        if list(folders) == ["train"]:
            lists = split_lists((root / folders["train"]).parent, "Main")
        paired = {split: (folder, image_folder(root, folder, self.images)) for split, folder in folders.items()}
        parsed = read_voc(
            root,
            paired,
            lists=lists,
            classes=self.classes,
            ignore_difficult=self.difficult == "ignore",
            first_pixel=self.first_pixel,
        )
        unread = find_unread_splits(
            parsed,
            chain(*paired.values()),
            code="image-unannotated",
            expected="images with an XML file each",
        )
        return replace(parsed, findings=[*parsed.findings, *unread])
