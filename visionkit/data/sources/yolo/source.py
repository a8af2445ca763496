"""YOLO: a text file per image with a line per object, and a YAML file with the class names.

The YAML file, of any name, has the keys ``train``, ``val`` and ``test`` (a folder of images, a file that lists images,
or a list of these) and ``names`` (a list, or a mapping from class ids).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from visionkit.data.sources.base import existing_root
from visionkit.data.sources.detection_source import DetectionSource
from visionkit.data.sources.split_names import SPLIT_NAMES
from visionkit.errors import UserError
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.data.sources.annotations import ParsedDataset

__all__ = ["Yolo"]


@dataclass(frozen=True, kw_only=True)
class Yolo(DetectionSource):
    """Images with a text file each, a line per object.

    A line is ``class x_center y_center width height``, or an outline ``class x y x y x y ...``, which masks need; in
    fractions of the image's sides.

    Attributes:
        root: The folder of the YAML file, or the file itself.
        file: The YAML file, relative to ``root``; null takes the only one with ``names``.
    """

    file: str | None

    expected: ClassVar[str] = "a YAML file with names and train, images/ and labels/"

    def read(self) -> ParsedDataset[Any]:
        from visionkit.data.sources.yolo.reader import read_yolo

        file, values = self._yaml()
        names = _names(values.get("names"), values.get("nc"), file)
        root = _dataset_root(values.get("path"), file)
        split_entries: dict[str, list[Path]] = {}
        for split, keys in SPLIT_NAMES.items():
            value = next((values[key] for key in keys if values.get(key)), None)
            if value is not None:
                entries = value if isinstance(value, list) else [value]
                split_entries[split] = [_resolve_entry(entry, root, file, split) for entry in entries]
        if "train" not in split_entries:
            raise UserError(
                f"dataset.file: '{file}' does not say where the training images are; found the keys "
                f"{', '.join(map(str, values))}. Expected train: a folder, such as train: images/train"
            )
        return read_yolo(root, split_entries, names, with_masks=self.target != "boxes")

    def _yaml(self) -> tuple[Path, Mapping[str, Any]]:
        given = Path(self.root).expanduser() if self.root else None
        if given is not None and given.is_file() and given.suffix.lower() in (".yaml", ".yml"):
            return given, _mapping(given)
        root = existing_root(self.root, name=self.name, expected=self.expected)
        if self.file is not None:
            if not (root / self.file).is_file():
                raise UserError(
                    f"dataset.file: there is no file '{self.file}' in '{root}'. Expected a YAML file with names and "
                    "train. Try: dataset.file=data.yaml"
                )
            return root / self.file, _mapping(root / self.file)
        files = sorted(path for path in root.iterdir() if path.suffix.lower() in (".yaml", ".yml") and path.is_file())
        candidates = [(path, values) for path in files if "names" in (values := _mapping(path))]
        if len(candidates) == 1:
            return candidates[0]
        listed = ", ".join(path.name for path, _ in candidates) or ", ".join(path.name for path in files) or "none"
        raise UserError(
            f"dataset.root: expected one YAML file with names in '{root}', found {listed}. Try: dataset.file=data.yaml"
        )


def _mapping(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UserError(f"dataset.file: '{path}' cannot be read as YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, Mapping):
        raise UserError(f"dataset.file: '{path}' should map names, train and val to values; found {describe(values)}.")
    return values


def _names(names: Any, num_classes: Any, file: Path) -> tuple[str, ...]:
    """The class names in the order of their ids."""
    if isinstance(names, Mapping):
        ids = {str(key): str(name) for key, name in names.items()}
        if names and set(ids) == {str(class_id) for class_id in range(len(ids))}:
            names = [ids[str(class_id)] for class_id in range(len(ids))]
    if not isinstance(names, list) or not names:
        raise UserError(
            f"dataset.file: names in '{file}' should be a list, or a mapping of the class ids 0, 1, 2 ... without a "
            f"gap; found {describe(names)}. Try: names: [cat, dog]"
        )
    if isinstance(num_classes, int) and num_classes != len(names):
        raise UserError(f"dataset.file: '{file}' has nc: {num_classes}, but {len(names)} names. Expected as many.")
    return tuple(str(name) for name in names)


def _dataset_root(path: Any, file: Path) -> Path:
    """The folder that the paths of the splits are relative to."""
    if path:
        given = Path(str(path)).expanduser()
        for folder in (file.parent / given, file.parent / given.name):
            if folder.is_dir():
                return folder
    return file.parent


def _resolve_entry(entry: Any, root: Path, file: Path, split: str) -> Path:
    """The path of a folder or list of images; some tools export ``../train/images`` for ``train/images``."""
    text = str(entry)
    stripped = text
    while stripped.startswith("../"):
        stripped = stripped[3:]
    for candidate in (root / text, file.parent / text, root / stripped, file.parent / stripped):
        if candidate.exists():
            return candidate
    raise UserError(
        f"dataset.file: '{file}' has {split}: {text}, but there is no such folder or file in '{root}'. "
        "Expected a folder of images, or a text file with one image path per line."
    )
