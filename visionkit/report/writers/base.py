"""The base class of the writers of result files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from visionkit.text import safe_file_name

__all__ = ["MAX_SUMMARY_ROWS", "ResultWriter", "common_folder", "picture_name", "relative_name"]

MAX_SUMMARY_ROWS = 20
"""The maximum number of images listed in a summary."""


class ResultWriter(ABC):
    """Writes the results of one ``predict``, image by image.

    Args:
        folder: The folder of results; it is created if necessary.
        data: The content of the run's ``data.json``, and optionally ``image_ids``, the data set's own ids by path.
        paths: All images, even those that may turn out to be unreadable.
        min_score: Objects with a lower score are not drawn; None for the default.

    Attributes:
        rows: The entries of the JSON file.
        num_reduced: The number of images that are drawn at a fraction of their size.
    """

    files: ClassVar[tuple[str, ...]]
    """The files and folders that are written."""
    draws_images: ClassVar[bool] = True
    """Whether `add` needs the decoded image, which is else not kept until its batch is full."""

    def __init__(
        self, folder: Path, data: Mapping[str, Any], paths: Sequence[Path], *, min_score: float | None = None
    ) -> None:
        self.folder, self.data, self.paths, self.min_score = folder, data, paths, min_score
        self.class_names: Sequence[str] = data["class_names"]
        self.rows: list[dict[str, Any]] = []
        self.num_reduced = 0

    @abstractmethod
    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
        """Add an image and its prediction.

        Args:
            path: Its file.
            image: uint8 or float32 (C, H, W), 0..255; None where ``draws_images`` is false.
            prediction: In pixels of the file.
            reduced: The pixels of the file, along a side, for each of ``image``.
        """

    @abstractmethod
    def write(self) -> None:
        """Write the files that are not written by `add`."""

    @abstractmethod
    def summary(self) -> list[str]:
        """Lines to print."""

    def _remaining_line(self, num_images: int) -> list[str]:
        return [f"... and {num_images - MAX_SUMMARY_ROWS:,} more"] if num_images > MAX_SUMMARY_ROWS else []


def common_folder(paths: Sequence[Path]) -> Path:
    """The deepest folder that contains all files."""
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))


def relative_name(path: Path, folder: Path) -> Path:
    """The path of a file below a folder, as the name of a result of it: printable, and without a way out (``..``)."""
    parts = Path(os.path.abspath(path)).relative_to(folder).parts
    return Path(*(safe_file_name(part) for part in parts))


def picture_name(name: Path) -> Path:
    """The file name of an annotated image: unchanged for JPEG and PNG, else with ``.png`` appended."""
    return name if name.suffix.lower() in (".jpg", ".jpeg", ".png") else name.with_name(f"{name.name}.png")
