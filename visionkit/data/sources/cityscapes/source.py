"""Cityscapes (Cordts et al. 2016): 2,975 / 500 street scenes of 2048x1024 with 19 classes.

The files are those of ``leftImg8bit_trainvaltest.zip`` and ``gtFine_trainvaltest.zip``, in one folder or each in one
below it: ``leftImg8bit/train/CITY/*_leftImg8bit.png`` and ``gtFine/train/CITY/*_gtFine_labelIds.png``. Ids and names
are those of the authors' `cityscapesscripts <https://github.com/mcordts/cityscapesScripts>`_, ``helpers/labels.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from visionkit.data.findings import Finding
from visionkit.data.image_files import walk_images
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.masks.benchmarks import find_folders
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.pairing import Pair, pair_files
from visionkit.data.sources.masks.pairs import ParsedMasks, read_pairs
from visionkit.data.sources.masks.source import MaskSource
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["Cityscapes"]

_CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
_NUM_IDS = 34
_IMAGE_SUFFIX = "_leftImg8bit"
_LABEL_IDS, _TRAIN_IDS = "_gtFine_labelIds", "_gtFine_labelTrainIds"


@dataclass(frozen=True, kw_only=True)
class Cityscapes(MaskSource):
    """Street scenes with fine masks; ids that the benchmark does not evaluate are ignored.

    The masks of test are not public: the published files mark all pixels as void, so there is no test split.
    """

    expected: ClassVar[str] = "leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and gtFine/{train,val}/CITY/"

    def read(self) -> ParsedMasks:
        root, images, masks = find_folders(
            self.root, images="leftImg8bit", masks="gtFine", holding="train", dataset=self.name, expected=self.expected
        )
        splits = [split for split in ("train", "val") if (root / images / split).is_dir()]
        suffix = _mask_suffix([root / masks / split for split in splits])
        findings, lists = list[Finding](), ImageLists(root, own_endings={".json"})  # beside masks lie polygons
        pairs: dict[str, list[Pair]] = {
            split: pair_files(
                lists,
                f"{images}/{split}",
                f"{masks}/{split}",
                findings,
                mask_suffix=suffix,
                image_suffix=_IMAGE_SUFFIX,
            )
            for split in splits
        }
        findings += lists.findings()
        test = root / images / "test"
        if test.is_dir():
            findings += Finding.of("test-unlabelled", sorted(f"{images}/test/{name}" for name in walk_images(test)))
        class_map = _class_map(suffix)
        return read_pairs(self, root, pairs, findings, classes=None, class_map=class_map, ignore=(IGNORE_INDEX,))


def _mask_suffix(folders: list[Path]) -> str:
    """The suffix of the masks that all splits have: of ids, or, made with cityscapesscripts, of training ids."""
    found = [{name.rpartition("_")[2].partition(".")[0] for name in walk_images(f)} for f in folders if f.is_dir()]
    kinds = set[str]().union(*found)
    shared = kinds.intersection(*found)
    return _TRAIN_IDS if "labelIds" not in shared and "labelTrainIds" in shared else _LABEL_IDS


def _class_map(suffix: str) -> ClassMap:
    if suffix == _TRAIN_IDS:
        return ClassMap(dict(enumerate(_CLASSES.values())), coloured=False)
    others = set(range(_NUM_IDS)) - set(_CLASSES)
    return ClassMap({**_CLASSES, **dict.fromkeys(others)}, coloured=False)
