"""The images in the folders of a data set, and what lies among them and is not read."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.image_files import LeftOut, is_image_name, starts_as_image, walk_images

__all__ = ["ImageLists"]


class ImageLists:
    """Lists the images below folders, and counts the files among them that are not read.

    Args:
        root: The data set's folder.
        own_endings: The endings of the data set's other files, such as ``.xml``, which lie among the images.

    Attributes:
        root: The data set's folder.
    """

    def __init__(self, root: Path, *, own_endings: Collection[str] = ()) -> None:
        self.root = root
        self._own_endings = own_endings
        self._images: dict[str, dict[str, str]] = {}
        self._left_out: dict[str, LeftOut] = {}
        self._listed = LeftOut()

    def images(self, folder: str) -> dict[str, str]:
        """Map the path of each image below a folder to its path from the root; both separated by ``/``.

        Args:
            folder: The folder, relative to the root or absolute; if there is none, there are no images.

        Raises:
            UserError: If a folder cannot be read.
        """
        if folder not in self._images:
            prefix, path = f"{folder}/" if folder else "", self.root / folder
            left_out = self._left_out[folder] = LeftOut()
            names = sorted(walk_images(path, left_out)) if path.is_dir() else []
            self._images[folder] = {name: prefix + name for name in names}
        return self._images[folder]

    def stems(self, folder: str, findings: list[Finding]) -> dict[str, str]:
        """Map the path of each image below a folder, without its ending, to its path from the root.

        Args:
            folder: The folder, as for `images`.
            findings: A list to which images are appended that differ from another in the ending alone, and are dropped.
        """
        stems: dict[str, str] = {}
        repeated = [
            path
            for name, path in self.images(folder).items()
            if stems.setdefault(os.path.splitext(name)[0], path) != path
        ]
        findings += Finding.of("name-repeated", repeated)
        return stems

    def is_read(self, path: str) -> bool:
        """Whether a file that is listed by its name is read, by its ending or its first bytes; else it is counted.

        Args:
            path: The path of an existing file, relative to the root or absolute.
        """
        if is_image_name(path) or starts_as_image(os.fsencode(self.root / path)):
            return True
        self._listed.add(os.fsencode(path))
        return False

    def findings(self) -> list[Finding]:
        """What was left out in all folders, as findings; folders in another one are counted with that one."""
        total = LeftOut(self._listed.endings.copy())
        by_path = {os.path.normpath(self.root / folder): folder for folder in self._left_out}
        for path, folder in by_path.items():
            if any(_lies_in(path, other) for other in by_path):
                continue
            left_out = self._left_out[folder]
            endings = {end: count for end, count in left_out.endings.items() if end not in self._own_endings}
            total.endings.update(endings)
            for names, found in ((total.special, left_out.special), (total.arrays, left_out.arrays)):
                names += [f"{folder}/{name}" if folder else name for name in found]
        return total.findings()


def _lies_in(path: str, other: str) -> bool:
    return path != other and path.startswith(f"{other.rstrip('/')}/")
