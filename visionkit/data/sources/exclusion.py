"""Images that a list of the user leaves out of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.errors import UserError

__all__ = ["Exclusion"]

_MAX_BYTES = 1 << 28


class Exclusion:
    """The images that a text file names, a path in each line, relative to the folder of the data set.

    Empty lines, and those that begin with ``#``, are passed over.

    Args:
        file: The text file; None leaves nothing out.
        root: The folder that its paths are relative to.

    Raises:
        UserError: If the file cannot be read.
    """

    def __init__(self, file: str | None, root: Path) -> None:
        self.file = file
        self._paths = {} if file is None else {_absolute(root, line): line for line in _read_lines(file)}
        self._found = set[bytes]()

    def __bool__(self) -> bool:
        return self.file is not None

    def keeps(self, folder: Path, names: Iterable[str | bytes]) -> list[bool]:
        """Whether each image stays in the data set.

        Args:
            folder: That the names are relative to.
            names: The images.
        """
        kept = list[bool]()
        for name in names:
            path = _absolute(folder, os.fsencode(name))
            is_named = path in self._paths
            kept.append(not is_named)
            if is_named:
                self._found.add(path)
        return kept

    def findings(self) -> list[Finding]:
        """How many images were left out, and the lines that name none."""
        left_out = [os.fsdecode(line) for path, line in self._paths.items() if path in self._found]
        others = [os.fsdecode(line) for path, line in self._paths.items() if path not in self._found]
        return [
            *Finding.of("image-excluded", left_out, file=str(self.file)),
            *Finding.of("exclude-unmatched", others, file=str(self.file)),
        ]


def _read_lines(file: str) -> list[bytes]:
    path = Path(file).expanduser()
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(
                f"dataset.exclude: '{file}' has more than 256 MiB. Expected a list of paths, one in each line."
            )
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"dataset.exclude: '{file}' cannot be read: {error.strerror}. Expected a text file with a path in each "
            "line, relative to dataset.root. Try: dataset.exclude=null"
        ) from None
    lines = (line.strip(b"\r\n") for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return [line for line in lines if line.strip() and not line.startswith(b"#")]


def _absolute(folder: Path, name: bytes) -> bytes:
    return os.path.normpath(os.path.join(os.path.abspath(os.fsencode(folder)), name))
