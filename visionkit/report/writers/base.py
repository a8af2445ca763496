"""The files that predictions become."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["SHOWN", "ResultWriter", "common_folder", "picture_name"]

SHOWN = 20
"""How many images are named in a summary."""


class ResultWriter(ABC):
    """Writes the results of one ``predict``, image by image.

    Args:
        folder: Where they go, perhaps not there yet.
        data: What the run's ``data.json`` says.
        paths: All images, some of which may prove unreadable.
        min_score: Objects with a lower score are not drawn; None for the usual one.

    Attributes:
        rows: What the JSON document holds.
    """

    files: ClassVar[tuple[str, ...]]
    """What is in the folder in the end."""

    def __init__(
        self, folder: Path, data: Mapping[str, Any], paths: Sequence[Path], *, min_score: float | None = None
    ) -> None:
        self.folder, self.data, self.paths, self.min_score = folder, data, paths, min_score
        self.class_names: Sequence[str] = data["class_names"]
        self.rows: list[dict[str, Any]] = []

    @abstractmethod
    def add(self, path: Path, image: Any, prediction: Mapping[str, Any]) -> None:
        """Take an image, uint8 (C, H, W) as it was decoded, and what a model says of it."""

    @abstractmethod
    def write(self) -> None:
        """Write everything that is not written yet."""

    @abstractmethod
    def summary(self) -> list[str]:
        """Lines for a person."""

    def _more(self) -> list[str]:
        return [f"... and {len(self.rows) - SHOWN:,} more"] if len(self.rows) > SHOWN else []


def common_folder(paths: Sequence[Path]) -> Path:
    """The folder that all files share."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def picture_name(name: Path) -> Path:
    """A picture's name: as it is for a JPEG or PNG file, else with ``.png`` behind it."""
    return name if name.suffix.lower() in (".jpg", ".jpeg", ".png") else name.with_name(f"{name.name}.png")
