"""The image files of ``predict source=...``: files, folders and patterns, and what is left out of them."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.image_files import LeftOut, is_image_file, is_system_folder, readable_suffixes, walk_images
from visionkit.errors import UserError
from visionkit.files import expand_user, similar_path

__all__ = ["ImageFiles"]


class ImageFiles:
    """The images of a file, of a folder and its sub-folders, of a pattern, or of a list of these.

    Args:
        source_argument: A file, a folder, a pattern such as ``"photos/**/*.jpg"``, or ``[a.jpg, more/]``; ``~`` is the
            home folder. A single file may have any suffix.

    Attributes:
        paths: Each file once.
        findings: What was found and left out.

    Raises:
        UserError: If there is no such file or folder, or no image in it.
    """

    def __init__(self, source_argument: str) -> None:
        self.findings: list[Finding] = []
        paths: list[Path] = []
        for source in _parts(source_argument):
            paths += self._find(source)
        self.paths: tuple[Path, ...] = tuple(dict.fromkeys(paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def __getitem__(self, index: int) -> Path:
        return self.paths[index]

    def _find(self, source: str) -> list[Path]:
        path = expand_user(source)
        if os.path.isfile(path):  # which is False for a name that is too long
            return [path]
        left_out = LeftOut()
        if os.path.isdir(path):
            place = f"no images in the folder '{source}'"
            paths = [path / name for name in sorted(walk_images(path, left_out))]
        elif glob.has_magic(source):
            place = f"no images match '{source}' (looked in {Path.cwd()})"
            paths = _matches(str(path), left_out)
        elif os.path.lexists(path):
            raise UserError(
                f"source: '{source}' is a link to nothing, a pipe or a device. Expected an image, a folder or a "
                "pattern. Try: source=photo.jpg"
            )
        elif "://" in source:
            raise UserError(
                f"source: '{source}' is an address, and nothing is fetched from the network. Expected an image, a "
                "folder or a pattern of files that are here. Try: source=photo.jpg"
            )
        else:
            raise UserError(
                f"source: there is no file or folder '{source}' (looked in {Path.cwd()}).{similar_path(source)} "
                "Expected an image, a folder or a pattern in quotes. Try: 'source=photos/*.jpg'"
            )
        findings = left_out.findings()
        if not paths:
            found = "".join(f" Found: {finding.note}. {finding.remedy_for(())}" for finding in findings)
            suffixes = ", ".join(sorted(readable_suffixes()))
            raise UserError(f"source: {place}. Expected files ending in {suffixes}.{found}")
        self.findings += findings
        return paths


def _parts(source: str) -> list[str]:
    """The sources of a list in brackets, or the one source.

    Raises:
        UserError: If there is none.
    """
    text = source.strip()
    is_list = text.startswith("[") and text.endswith("]") and not os.path.lexists(expand_user(text))
    parts = [part.strip().strip("'\"") for part in text[1:-1].split(",")] if is_list else [source]
    parts = [part for part in parts if part]
    if not parts:
        raise UserError("source is not given. Expected an image, a folder or a pattern. Try: source=photo.jpg")
    return parts


def _matches(pattern: str, left_out: LeftOut) -> list[Path]:
    """The images that match a pattern, without those in folders of systems and tools that it does not spell out."""
    parts = Path(pattern).parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    if "**" in parts:  # a walk of our own, which follows no links in circles
        folder = Path(*parts[:first])
        left_out.is_wanted = lambda name: _fits(name.split("/"), parts[first:])
        names = walk_images(folder, left_out) if folder.is_dir() else ()
        return [folder / name for name in sorted(filter(left_out.is_wanted, names))]
    found = []
    for name in sorted(glob.glob(pattern)):
        inner = Path(name).parts[first:-1]
        if os.path.isdir(name) or any(is_system_folder(part) and part not in parts for part in inner):
            continue
        if not os.path.isfile(name):
            left_out.add_special(os.fsencode(name))
        elif is_image_file(name):
            found.append(Path(name))
        else:
            left_out.add(os.fsencode(name))
    return found


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path fits a pattern, both as their parts; ``**`` stands for any number of parts."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_fits(names[i:], parts[1:]) for i in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:])
