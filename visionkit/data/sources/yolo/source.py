"""YOLO: a text file per image with a line per object, and a YAML file with the class names.

The YAML file, of any name, has the keys ``train``, ``val`` and ``test`` (a folder of images, a file that lists images,
or a list of these), ``names`` (a list, or a mapping from class ids) and for poses ``kpt_shape``. Without it darknet's
``obj.data`` and ``obj.names`` are read, or ``classes.txt`` and folders that are called as splits are.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from visionkit.data.sources.detection_source import DetectionSource
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.unread_splits import find_unread_splits, image_folders
from visionkit.errors import UserError
from visionkit.files import expand_user

if TYPE_CHECKING:
    from visionkit.data.sources.annotations import ParsedDataset
    from visionkit.data.sources.yolo.definition import Definition
    from visionkit.data.sources.yolo.paths import FolderListings

__all__ = ["Yolo"]

_YAML_SUFFIXES = (".yaml", ".yml")
_MAX_YAML_FILES = 20


@dataclass(frozen=True, kw_only=True)
class Yolo(DetectionSource):
    """Images with a text file each, a line per object.

    A line is ``class x_center y_center width height``, or an outline ``class x y x y x y ...``, which masks need; in
    fractions of the image's sides. Behind a box may stand a confidence, or points as ``kpt_shape`` says; both are left
    out. Paths of other systems are found by their tail, label files and folders in any case.

    Attributes:
        root: The folder of the YAML file, or the file itself.
        file: The YAML file, or one of darknet's, relative to ``root``; null takes the only one with ``names``.
        columns: What stands behind the class of a line of more than five numbers: ``outline``, or ``box`` and what is
            left out; null tells by ``kpt_shape`` and the numbers.
    """

    file: str | None
    columns: Literal["box", "outline"] | None

    expected: ClassVar[str] = "a YAML file with names and train, images/ and labels/"

    def read(self) -> ParsedDataset[Any]:
        from visionkit.data.sources.yolo.paths import FolderListings
        from visionkit.data.sources.yolo.reader import read_yolo

        listings = FolderListings()
        definition = self._definition(listings)
        parsed = read_yolo(definition, listings, columns=self.columns, with_masks=self.target != "boxes")
        unnamed = find_unread_splits(
            parsed,
            image_folders(parsed),
            code="split-unnamed",
            expected="images there, and val: in the YAML file",
        )
        return replace(parsed, findings=[*parsed.findings, *unnamed])

    def _definition(self, listings: FolderListings) -> Definition:
        from visionkit.data.sources.yolo.darknet import find_darknet_files, read_darknet_definition
        from visionkit.data.sources.yolo.definition import read_yaml_definition, read_yaml_file

        root, file = self._root_and_file()
        if file is not None:
            if file.suffix.lower() in _YAML_SUFFIXES:
                return read_yaml_definition(file, read_yaml_file(file), listings, folder=root)
            return read_darknet_definition(root, [file], listings)
        files = [root / name for name in listings.names(str(root)) if _is_yaml(root / name)]
        contents, errors = {}, []
        for path in files:
            try:
                contents[path] = read_yaml_file(path)
            except UserError as error:
                errors.append(error)
        candidates = [path for path, values in contents.items() if "names" in values]
        if len(candidates) == 1:
            return read_yaml_definition(candidates[0], contents[candidates[0]], listings, folder=root)
        if errors and not candidates:
            raise errors[0]
        if not candidates and (darknet_files := find_darknet_files(root, listings)):
            return read_darknet_definition(root, darknet_files, listings)
        listed = ", ".join(path.name for path in candidates or files) or "none"
        if candidates:
            remedy = f"Say which: dataset.file={candidates[0].name}"
        elif deeper := _yaml_files_below(root, listings):
            remedy = f"Is it this one? dataset.file={deeper[0]}"
        else:
            remedy = "Write data.yaml with a line 'names: [cat, dog]', or classes.txt with a class name a line"
        raise UserError(f"dataset.root: expected one YAML file with names in '{root}', found {listed}. {remedy}")

    def _root_and_file(self) -> tuple[Path, Path | None]:
        """The absolute folder of the data set, and the file that is given to describe it."""
        given = Path(os.path.abspath(expand_user(self.root))) if self.root else None
        if given is not None and given.is_file() and given.suffix.lower() in (*_YAML_SUFFIXES, ".data"):
            return given.parent, given
        root = Path(os.path.abspath(existing_root(self.root, name=self.name, expected=self.expected)))
        if self.file is None:
            return root, None
        if not (root / self.file).is_file():
            raise UserError(
                f"dataset.file: there is no file '{self.file}' in '{root}'. Expected a YAML file with names and "
                "train. Try: dataset.file=data.yaml"
            )
        return root, root / self.file


def _yaml_files_below(root: Path, listings: FolderListings) -> list[str]:
    """The paths of YAML files with ``names`` in the folders below a folder."""
    from visionkit.data.sources.yolo.definition import read_yaml_file
    from visionkit.data.sources.yolo.paths import PathFinder

    folders = PathFinder([root], listings).inner_folders
    paths = [
        Path(folder) / name for folder in folders for name in listings.names(folder) if _is_yaml(Path(folder) / name)
    ]
    found = []
    for path in paths[:_MAX_YAML_FILES]:
        with contextlib.suppress(UserError):
            if "names" in read_yaml_file(path):
                found.append(path.relative_to(root).as_posix())
    return found


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in _YAML_SUFFIXES and not path.name.startswith(".") and path.is_file()
