"""Finds the label file of each image: in ``labels/`` where the image lies in ``images/``, or beside the image."""

from __future__ import annotations

import os

from visionkit.data.image_files import is_image_name
from visionkit.data.sources.same_names import by_folded_name
from visionkit.data.sources.yolo.paths import FolderListings
from visionkit.text import fold_name

__all__ = ["CLASS_FILES", "LabelFiles"]

CLASS_FILES = ("obj.names", "classes.txt", "_darknet.labels", "predefined_classes.txt")

_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
_LABEL_FOLDERS = ("labels", "label")
_NON_LABEL_FILES = frozenset({*CLASS_FILES, "labels.txt", "train.txt", "valid.txt", "val.txt", "test.txt", "notes.txt"})


class LabelFiles:
    """The label files of images; folders, names and endings are found in any case and any form of Unicode.

    Args:
        listings: The listings of folders, shared with other readers.

    Attributes:
        image_of: The image that each label file belongs to, kept by the reader.
    """

    def __init__(self, listings: FolderListings) -> None:
        self.image_of: dict[str, str] = {}
        self._listings = listings
        self._folders: dict[str, list[str]] = {}
        self._stems: dict[str, dict[str, str]] = {}
        self._image_folders: dict[str, set[str]] = {}
        self._image_stems: dict[str, set[str]] = {}

    def find(self, image: str) -> str | None:
        """The label file of an image given by its absolute path; None if there is none.

        A file in another case than the image is not taken if another image beside it is named exactly so.
        """
        image_folder, name = os.path.split(image)
        stem = os.path.splitext(name)[0]
        for folder in self.folders_of(image_folder):
            stems = self._label_stems(folder)
            label = stems.get(stem) or stems.get(fold_name(stem))
            if label is not None and (
                label[: -len(".txt")] == stem or label[: -len(".txt")] not in self._stems_of_images(image_folder)
            ):
                self._image_folders.setdefault(folder, set()).add(image_folder)
                return os.path.join(folder, label)
        return None

    def orphans(self) -> list[str]:
        """The label files without an image, of the folders in which label files were found."""
        orphans = []
        for folder, image_folders in sorted(self._image_folders.items()):
            names = (name for image_folder in image_folders for name in self._listings.names(image_folder))
            stems = {fold_name(os.path.splitext(name)[0]) for name in names if is_image_name(name)}
            orphans += [
                os.path.join(folder, name)
                for name in sorted(set(self._label_stems(folder).values()))
                if fold_name(os.path.splitext(name)[0]) not in stems and not _is_other_text(name)
            ]
        return orphans

    def folders_of(self, image_folder: str) -> list[str]:
        """The folders in which the label files of a folder of images may be, the most likely one first."""
        if image_folder not in self._folders:
            parts = image_folder.split(os.sep)
            positions = [i for i, part in enumerate(parts) if part.lower() in _IMAGE_FOLDERS]
            bases = [(os.sep.join(parts[:i]) or os.sep, "/".join(parts[i + 1 :])) for i in reversed(positions)]
            candidates = [
                self._listings.find(base, f"{name}/{rest}".rstrip("/"))
                for base, rest in [*bases, (image_folder, "")]
                for name in _LABEL_FOLDERS
            ]
            self._folders[image_folder] = [*filter(None, dict.fromkeys(candidates)), image_folder]
        return self._folders[image_folder]

    def class_files(self) -> list[str]:
        """The files of class names that annotation tools left among the label files."""
        files = [(folder, name) for folder in sorted(self._image_folders) for name in self._listings.names(folder)]
        return [os.path.join(folder, name) for folder, name in files if name.lower() in CLASS_FILES]

    def _stems_of_images(self, folder: str) -> set[str]:
        """The stems of a folder's images."""
        if folder not in self._image_stems:
            names = filter(is_image_name, self._listings.names(folder))
            self._image_stems[folder] = {os.path.splitext(name)[0] for name in names}
        return self._image_stems[folder]

    def _label_stems(self, folder: str) -> dict[str, str]:
        """The names of a folder's text files by their stems, as they are and as `fold_name` writes them."""
        if folder not in self._stems:
            names = [n for n in self._listings.names(folder) if n.lower().endswith(".txt") and not n.startswith(".")]
            stems = {os.path.splitext(name)[0]: name for name in sorted(names)}
            self._stems[folder] = {folded: stems[stem] for folded, stem in by_folded_name(stems).items()} | stems
        return self._stems[folder]


def _is_other_text(name: str) -> bool:
    return name.lower() in _NON_LABEL_FILES or name.lower().startswith("readme")
