"""Where the images and the masks of each split lie, by the names that people give to folders."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.image_files import is_image_name
from visionkit.data.sources.split_names import (
    find_split_folders,
    folder_split,
    normal_name,
    other_folders,
    split_of,
    sub_folders,
)
from visionkit.errors import UserError

__all__ = ["MaskFolders", "find_folder"]

_NAMES = {
    "images": ("images", "imgs", "image", "img", "jpegimages", "pictures", "photos"),
    "masks": (
        "masks", "mask", "labels", "annotations", "segmentationclass", "label", "annotation", "segmentations", "gt",
        "ground_truth", "groundtruth", "annot", "annots",
    ),
}  # fmt: skip
"""As `visionkit.data.sources.split_names.normal_name` spells them; earlier ones first."""

_SHORT_SPLITS = {"tr": "train", "ts": "test"}  # nnU-Net and the Medical Segmentation Decathlon: imagesTr, labelsTs

Folders = dict[str, tuple[str, str]]
"""For each split the folders of its images and of its masks, relative to the root."""


@dataclass(frozen=True)
class MaskFolders:
    """The search for the folders of a data set.

    Attributes:
        root: The data set's folder.
        findings: A list to which folders that are left out are appended.
        allow_overlap: Whether two splits may be one folder.
        expected: The layout that messages expect.
    """

    root: Path
    findings: list[Finding]
    allow_overlap: bool
    expected: str

    def find(self, images: str | None, masks: str | None) -> Folders:
        """The folders of each split; only ``train`` if there are no splits.

        Args:
            images: The folder of all images, relative to the root; None searches for it.
            masks: That of all masks, likewise.

        Raises:
            UserError: If there are none, or a split has only images or only masks.
        """
        given = {"images": images, "masks": masks}
        images, masks = (find_folder(self.root, name, key=key) for key, name in given.items())
        if images is not None and masks is not None:
            return self._splits_in(images, masks)
        if images is None and masks is None:
            found = self._folders_in_splits() or self._folders_by_name() or self._in_wrapper()
            if found:
                return found
        missing = "images" if images is None else "masks"
        present = f"; found the folders {', '.join(found_names)}" if (found_names := sub_folders(self.root)) else ""
        raise UserError(
            f"dataset.{missing}: no folder of {missing} in '{self.root}': looked for {', '.join(_NAMES[missing])}"
            f"{present}. Expected {self.expected}. Say where they are: dataset.{missing}=folder"
        )

    def _folders_in_splits(self) -> Folders:
        """A folder of images and one of masks in that of each split; empty if there are none."""
        names = find_split_folders(self.root, allow_overlap=self.allow_overlap)
        nested = {
            split: tuple(find_folder(self.root / name, None, key=key) for key in _NAMES)
            for split, name in names.items()
        }
        if "train" not in nested or not all(nested["train"]):
            return {}
        self.findings.extend(Finding.of("folder-no-split", other_folders(self.root, names.values())))
        folders = {
            split: tuple(f"{names[split]}/{name}" for name in pair if name is not None)
            for split, pair in nested.items()
            if any(pair)
        }
        return self._pairs(folders, {split: names[split] for split in names})

    def _folders_by_name(self) -> Folders:
        """Folders whose names say split and contents, such as ``train_images`` and ``train_masks``; empty if none.

        Beside a folder of the masks of a split, such as ``trainannot``, its images may lie in a bare ``train``.
        """
        groups: dict[str, dict[str, str]] = {}
        names = sub_folders(self.root)
        for name in names:
            for key in _NAMES:
                rest = _without_word(normal_name(name), _NAMES[key])
                if rest:
                    groups.setdefault(rest, {}).setdefault(key, name)
        complete = {rest: group for rest, group in groups.items() if len(group) == len(_NAMES)}
        if len(complete) == 1 and len(groups) == 1 and split_of(next(iter(groups))) is None:
            group = next(iter(complete.values()))
            return {"train": (group["images"], group["masks"])}
        splits = {split: group for rest, group in groups.items() if (split := split_of(rest)) is not None}
        for name in names:
            if (split := split_of(name)) is not None:
                splits.setdefault(split, {}).setdefault("images", name)
        if "train" not in splits or len(splits["train"]) < len(_NAMES):
            return {}
        used = {name for group in splits.values() for name in group.values()}
        self.findings.extend(Finding.of("folder-no-split", other_folders(self.root, used)))
        folders = {split: tuple(group[key] for key in _NAMES if key in group) for split, group in splits.items()}
        return self._pairs(folders, {split: names[0] for split, names in folders.items()})

    def _in_wrapper(self) -> Folders:
        """The folders within the only folder that there is, as archives unpack; empty if there is none."""
        names = sub_folders(self.root)
        if len(names) != 1 or split_of(names[0]) is not None:
            return {}
        inner = MaskFolders(self.root / names[0], self.findings, self.allow_overlap, self.expected)
        found = inner.find(None, None)
        return {split: (f"{names[0]}/{images}", f"{names[0]}/{masks}") for split, (images, masks) in found.items()}

    def _splits_in(self, images: str, masks: str) -> Folders:
        """The folders of splits inside those of images and masks; only ``train`` if there are none."""
        self.findings.extend(Finding.of("split-not-read", list(filter(folder_split, sub_folders(self.root)))))
        found = {
            base: find_split_folders(self.root / base, allow_overlap=self.allow_overlap) for base in (images, masks)
        }
        splits = [*found[images], *(split for split in found[masks] if split not in found[images])]
        if not splits:
            return {"train": (images, masks)}
        if "train" not in splits:
            raise UserError(
                f"dataset.root: '{self.root / images}' has {' and '.join(splits)}, but no train. Expected a folder "
                "train, or no folders at all."
            )
        others = [
            f"{base}/{name}"
            for base, names in found.items()
            for name in other_folders(self.root / base, names.values())
        ]
        self.findings.extend(Finding.of("folder-no-split", others))
        loose = [f"{images}/{path.name}" for path in (self.root / images).iterdir() if is_image_name(path.name)]
        self.findings.extend(Finding.of("image-no-split", sorted(loose)))
        folders = {
            split: tuple(f"{base}/{names[split]}" for base, names in found.items() if split in names)
            for split in splits
        }
        return self._pairs(folders, {split: names[0] for split, names in folders.items()})

    def _pairs(self, folders: dict[str, tuple[str, ...]], shown: dict[str, str]) -> Folders:
        """The splits that have images and masks; a test split without is left out.

        Raises:
            UserError: If train or val has only one of both.
        """
        incomplete = [split for split in shown if len(folders.get(split, ())) < len(_NAMES)]
        for split in incomplete:
            if split != "test":
                raise UserError(
                    f"dataset.root: there is a folder '{shown[split]}' in '{self.root}', but not one of images and one "
                    f"of masks for {split}. Expected {split} in both. Add what is missing, or move the folder away; "
                    f"or say where both are, for each split: dataset.images.{split}=FOLDER dataset.masks.{split}=FOLDER"
                )
        self.findings.extend(Finding.of("test-no-masks", [shown[split] for split in incomplete]))
        return {split: (pair[0], pair[1]) for split, pair in folders.items() if split not in incomplete}


def find_folder(root: Path, given: str | None, *, key: str) -> str | None:
    """The folder of all images or of all masks, relative to the root; None if there is none.

    Args:
        root: The folder that is searched, for names in any case.
        given: The folder as the user said it; None searches.
        key: ``images`` or ``masks``.

    Raises:
        UserError: If the folder is given but does not exist.
    """
    if given is None:
        by_name = {normal_name(name): name for name in reversed(sub_folders(root))}
        return next((by_name[name] for name in _NAMES[key] if name in by_name), None)
    if not (root / given).is_dir():
        raise UserError(
            f"dataset.{key}: there is no folder '{given}' in '{root}'. Expected the folder of the {key}, relative to "
            f"dataset.root. Try: dataset.{key}={key}"
        )
    return given


def _without_word(name: str, words: Collection[str]) -> str:
    """What a name says beside a word at its beginning or end, ``train`` of ``train_images``; empty if none is there.

    A split, in its first spelling, may also stand beside it without a gap: ``trainannot``, ``imagesTr``.
    """
    for word in words:
        for rest, is_there in (
            (name.removesuffix(word), name.endswith(word)),
            (name.removeprefix(word), name.startswith(word)),
        ):
            bare = rest.strip("_")
            split = split_of(bare) or _SHORT_SPLITS.get(bare)
            if is_there and (split or bare != rest):
                return split or bare
    return ""
