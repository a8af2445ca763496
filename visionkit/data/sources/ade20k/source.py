"""ADE20K (Zhou et al. 2017) as the SceneParsing challenge has it: 20,210 / 2,000 scenes with 150 classes.

The files are those of ``ADEChallengeData2016.zip``: ``images/{training,validation}/*.jpg`` and
``annotations/{training,validation}/*.png``, in which 0 is none of the classes and ignored. Names are read from
``objectInfo150.txt``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from visionkit.data.findings import Finding
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.masks.benchmarks import find_folders
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.pairing import Pair, pair_files
from visionkit.data.sources.masks.pairs import ParsedMasks, read_pairs
from visionkit.data.sources.masks.source import MaskSource
from visionkit.errors import UserError
from visionkit.files import read_text

__all__ = ["Ade20k"]

_NUM_CLASSES = 150
_FOLDERS = {"train": "training", "val": "validation"}


@dataclass(frozen=True, kw_only=True)
class Ade20k(MaskSource):
    """Scenes with masks of 150 classes; without a test split, whose masks are not public."""

    expected: ClassVar[str] = "images/{training,validation} and annotations/{training,validation}"

    def read(self) -> ParsedMasks:
        root, images, masks = find_folders(
            self.root,
            images="images",
            masks="annotations",
            holding="training",
            dataset=self.name,
            expected=self.expected,
        )
        findings, lists = list[Finding](), ImageLists(root)
        pairs: dict[str, list[Pair]] = {
            split: pair_files(lists, f"{images}/{folder}", f"{masks}/{folder}", findings)
            for split, folder in _FOLDERS.items()
            if (root / images / folder).is_dir()
        }
        findings += lists.findings()
        file = (root / images).parent / "objectInfo150.txt"
        names = _class_names(file)
        if not file.is_file():
            findings.append(Finding.counted("class-names-missing", len(names), file=file.name))
        class_map = ClassMap({0: None, **dict(enumerate(names, start=1))}, coloured=False)
        return read_pairs(self, root, pairs, findings, classes=None, class_map=class_map)


def _class_names(file: Path) -> list[str]:
    """The first word of each class in the challenge's table; ``class1`` and so on where there is none.

    Raises:
        UserError: If the table does not have a name for each of the 150 classes.
    """
    if not file.is_file():
        return [f"class{number}" for number in range(1, _NUM_CLASSES + 1)]
    try:
        rows = list(csv.reader(read_text(file).splitlines(), delimiter="\t"))
    except (OSError, UnicodeError, csv.Error) as error:
        raise UserError(f"dataset.root: '{file}' cannot be read: {error}. Remove it to number the classes.") from None
    synonyms = {row[0].strip(): row[-1].strip() for row in rows if len(row) > 1}
    missing = next((number for number in range(1, _NUM_CLASSES + 1) if not synonyms.get(str(number))), None)
    if missing is not None:
        raise UserError(
            f"dataset.root: '{file}' has no name for class {missing}. Expected a row for each of the {_NUM_CLASSES} "
            "classes, the number first and the name last, with tabs between. Remove it to number the classes."
        )
    full = [synonyms[str(number)] for number in range(1, _NUM_CLASSES + 1)]
    first = [name.partition(",")[0].strip() for name in full]
    return [full[row] if first.count(name) > 1 else name for row, name in enumerate(first)]
