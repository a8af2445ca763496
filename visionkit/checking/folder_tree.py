"""Everything below the root of a data set, whether it is read or not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visionkit.data.image_files import is_system_folder, leads_up

__all__ = ["FolderTree", "list_tree"]

_SYSTEM_FILES = frozenset({b"thumbs.db", b"desktop.ini", b".ds_store", b"icon\r", b".directory"})
_DEEPEST = 64


@dataclass
class FolderTree:
    """The entries below a folder, relative to it, as bytes with ``/`` between them.

    Attributes:
        files: Regular files, and links to them.
        folders: All folders.
        junk: Files and folders that systems make, which are not looked into.
        loops: Links to a folder that they lie in.
        unread: Folders that may not be listed.
    """

    files: list[bytes] = field(default_factory=list)
    folders: list[bytes] = field(default_factory=list)
    junk: list[bytes] = field(default_factory=list)
    loops: list[bytes] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)


def list_tree(root: Path, *, advance: Callable[[int], Any] = lambda count: None) -> FolderTree:
    """List everything below a folder; what vanishes meanwhile is left out.

    Args:
        root: The folder.
        advance: Told of the files of each folder.
    """
    tree, top = FolderTree(), os.fsencode(root)
    waiting, visited = [(b"", 0)], {os.path.realpath(top)}
    while waiting:
        folder, depth = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(top, folder)))
        except OSError:
            tree.unread.append(folder.rstrip(b"/"))
            continue
        before = len(tree.files)
        for entry in entries:
            name = folder + entry.name
            is_link = entry.is_symlink()
            try:
                is_folder = entry.is_dir()
                is_file = entry.is_file() or (not is_link and not is_folder and _is_regular(entry))
            except OSError:
                tree.loops.append(name)  # links in a circle
                continue
            if is_folder and is_link:
                target = os.path.realpath(entry.path)
                if leads_up(entry.path, top) or target in visited or depth > _DEEPEST:
                    tree.loops.append(name)
                    continue
                visited.add(target)
            if is_folder and is_system_folder(os.fsdecode(entry.name)):
                tree.junk.append(name)
            elif is_folder:
                tree.folders.append(name)
                waiting.append((name + b"/", depth + 1))
            elif entry.name.lower() in _SYSTEM_FILES or entry.name.startswith(b"._"):
                tree.junk.append(name)
            elif is_file:
                tree.files.append(name)
        advance(len(tree.files) - before)
    return tree


def _is_regular(entry: os.DirEntry[bytes]) -> bool:
    return stat.S_ISREG(entry.stat().st_mode)
