"""COCO: one JSON file per split (Lin et al. 2014, cocodataset.org/#format-data)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.data.findings import Finding
from visionkit.data.sources.coco.annotation_files import advise_files, find_files
from visionkit.data.sources.detection_source import DetectionSource
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_files import SplitPaths
from visionkit.data.sources.split_names import SPLIT_NAMES, split_in, sub_folders
from visionkit.data.sources.unread_splits import find_unread_splits, image_folders
from visionkit.errors import UserError
from visionkit.files import expand_user

if TYPE_CHECKING:
    from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset

__all__ = ["Coco"]


@dataclass(frozen=True, kw_only=True)
class Coco(DetectionSource):
    """Images and a JSON file per split; a single file is split at random.

    A file belongs to the split that is a word of its name or of its folder's name (``instances_val2017.json``). Ids are
    numbers or texts, ``15`` and ``"15"`` the same; a missing ``bbox`` is that of the outline; entries of one image are
    merged; a ``file_name`` of another folder or computer is found by its last parts where these are unique.

    Attributes:
        annotations: The JSON files; null searches ``annotations/``, the root and the folders of the splits for names
            with train, val and test.
        images: The folders that ``file_name`` is relative to; null searches for them.
    """

    annotations: SplitPaths
    images: SplitPaths

    expected: ClassVar[str] = "annotations/instances_train2017.json and train2017/, or train/_annotations.coco.json"

    def image_ids(self, paths: Sequence[Path]) -> Mapping[Path, int | str]:
        root = expand_user(self.root or "").resolve()
        targets = {path.resolve(): path for path in paths}
        if not any(target.is_relative_to(root) for target in targets):
            return {}
        try:
            splits = self._parsed.splits
        except UserError:  # the data are no longer there, or not as they were
            return {}
        listed = {root / name: image_id for split in splits.values() for name, image_id in _ids(split)}
        return {path: listed[target] for target, path in targets.items() if target in listed}

    def read(self) -> ParsedDataset[Any]:
        from visionkit.data.sources.coco.reader import read_coco

        root = existing_root(self.root, name=self.name, expected=self.expected)
        files, left_out, names_splits = self._files(root)
        parsed = read_coco(
            root,
            {
                split: (file, getattr(self.images, split), _image_folders(root, split, file))
                for split, file in files.items()
            },
            with_masks=self.target != "boxes",
            max_pixels=self.max_pixels,
        )
        unread = []
        if not any(getattr(self.annotations, split) for split in SPLIT_NAMES):
            unread = find_unread_splits(
                parsed,
                image_folders(parsed),
                code="image-unannotated",
                expected="images there, and their JSON file",
            )
        unnamed = Finding.of("file-no-split", [str(file.relative_to(root)) for file in left_out])
        return replace(parsed, findings=[*parsed.findings, *unnamed, *unread], names_splits=names_splits)

    def _files(self, root: Path) -> tuple[dict[str, Path], list[Path], bool]:
        """The JSON file of each split; those that are left out because their names say no split; whether any does."""
        given = {split: getattr(self.annotations, split) for split in SPLIT_NAMES}
        files = {split: root / path for split, path in given.items() if path is not None}
        for split, path in files.items():
            if not path.is_file():
                raise UserError(
                    f"dataset.annotations.{split}: there is no file '{path}'. Expected a JSON file in COCO's form, "
                    "relative to dataset.root."
                )
        split_files, left_out, names_splits = (files, [], True) if files else find_files(root)
        if not split_files:
            raise UserError(
                f"dataset.root: no annotation at all: no JSON file in '{root}'. Expected {self.expected}."
                f"{advise_files(root)}"
            )
        if "train" not in split_files:
            raise UserError(
                f"dataset.root: found {', '.join(str(path) for path in split_files.values())}, but no file for train. "
                "Try: dataset.annotations.train=annotations/my_train.json"
            )
        return split_files, left_out, names_splits


def _ids(images: AnnotatedImages) -> Iterable[tuple[str, int | str]]:
    return zip(images.names, images.ids or (), strict=True)


def _image_folders(root: Path, split: str, file: Path) -> list[str]:
    """The existing folders in which a file's images may be, relative to the root, the likeliest first."""
    shared = [name for name in sub_folders(root) if name.lower() in ("images", "data")]
    parents = ["", *(f"{name}/" for name in shared)]
    folders = [f"{parent}{file.stem.rpartition('_')[2]}" for parent in parents]
    of_split = [p + name for p in parents for name in sub_folders(root / p) if split_in(name) == split]
    folders += of_split
    folders += [f"{name}/{inner}" for name in of_split for inner in ("images", "data")]
    folders += [str(file.parent.relative_to(root)) if file.parent.is_relative_to(root) else ".", *shared, "."]
    return [("" if folder == "." else folder) for folder in dict.fromkeys(folders) if (root / folder).is_dir()]
