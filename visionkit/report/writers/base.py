"""The base class of the writers of result files."""

from __future__ import annotations

import csv
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.files import write_atomic
from visionkit.text import quote_cell, safe_file_name

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "MAX_SUMMARY_ROWS",
    "PICTURE_SUFFIXES",
    "ResultWriter",
    "common_folder",
    "picture_names",
    "relative_names",
    "result_names",
]

MAX_SUMMARY_ROWS = 20
"""The maximum number of images listed in a summary."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Of files of annotated images."""

_TABLE, _DOCUMENT, _PICTURES = "predictions.csv", "predictions.json", "images"


class ResultWriter(ABC):
    """Writes the results of one ``predict``, image by image.

    Args:
        target: The folder of results, which is created if necessary; or the one file that is written, a table
            (``.csv``), a document (``.json``) or, of a single image, its picture (``.jpg``, ``.png``).
        data: The content of the run's ``data.json``, and optionally ``image_ids``, the data set's own ids by path.
        paths: All images, even those that may turn out to be unreadable.
        min_score: Objects with a lower score are not drawn; None for the default.
        draw: Whether annotated images are written; None for the default of the task.

    Attributes:
        rows: The entries of the JSON file.
        num_reduced: The number of images that are drawn at a fraction of their size.
        draws_images: Whether `add` needs the decoded image.
    """

    folders: ClassVar[tuple[str, ...]] = (_PICTURES,)
    """The folders that are written beside the table and the document."""
    max_drawn: ClassVar[int | None] = None
    """The most images of which pictures are drawn unasked; None for any number."""

    def __init__(
        self,
        target: Path,
        data: Mapping[str, Any],
        paths: Sequence[Path],
        *,
        min_score: float | None = None,
        draw: bool | None = None,
    ) -> None:
        self.target, self.data, self.paths, self.min_score = target, data, paths, min_score
        self.is_undrawn = False
        self.file = target if target.suffix.lower() in (".csv", ".json", *PICTURE_SUFFIXES) else None
        if self.file is not None:
            self.draws_images = self.file.suffix.lower() in PICTURE_SUFFIXES
        else:
            is_few = self.max_drawn is None or len(paths) <= self.max_drawn
            self.draws_images = is_few if draw is None else draw
            self.is_undrawn = draw is None and not is_few
        self.class_names: Sequence[str] = data["class_names"]
        self.rows: list[dict[str, Any]] = []
        self.num_reduced = 0
        self.shared_folder = common_folder(paths)
        self._picture_names = picture_names(paths, self.shared_folder)

    @property
    def files(self) -> list[Path]:
        """The files and folders that are written."""
        if self.file is not None:
            return [self.file]
        folders = [name for name in self.folders if name != _PICTURES or self.draws_images]
        return [self.target / name for name in (_DOCUMENT, _TABLE, *folders)]

    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
        """Add an image and its prediction.

        Args:
            path: Its file.
            image: uint8 or float32 (C, H, W), 0..255; None where ``draws_images`` is false.
            prediction: In pixels of the file.
            reduced: The pixels of the file, along a side, for each of ``image``.
        """
        self.note(path, prediction)
        if self.draws_images:
            from visionkit.report.image_grid import write_picture

            self.num_reduced += reduced > 1
            picture = self.draw(image, prediction, reduced=reduced)
            write_picture(picture, self.file or self.target / _PICTURES / self._picture_names[path])

    def write(self) -> None:
        """Write the table and the document."""
        if self.file is None or self.file.suffix.lower() == ".csv":
            write_atomic(self.file or self.target / _TABLE, self.csv_text())
        if self.file is None or self.file.suffix.lower() == ".json":
            write_atomic(self.file or self.target / _DOCUMENT, self.document())

    def csv_text(self) -> str:
        """The table as CSV; cells that a table program would take for formulas are quoted."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(quote_cell, self.columns()))
        writer.writerows(map(quote_cell, row) for row in self.table())
        return text.getvalue()

    @abstractmethod
    def note(self, path: Path, prediction: Mapping[str, Any]) -> None:
        """Keep the rows of an image, and write its files that are no picture."""

    @abstractmethod
    def draw(self, image: Any, prediction: Mapping[str, Any], *, reduced: int) -> Image.Image:
        """The annotated image; arguments as those of `add`."""

    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The headings of the table."""

    @abstractmethod
    def table(self) -> Iterable[Sequence[Any]]:
        """The rows of the table."""

    @abstractmethod
    def document(self) -> str:
        """The text of the JSON file."""

    @abstractmethod
    def summary(self) -> list[str]:
        """Lines to print on the images."""

    def picture_lines(self) -> list[str]:
        """A line on pictures that are drawn small, or not at all."""
        lines = [f"{self.num_reduced:,} large images are drawn at a fraction of their size"] if self.num_reduced else []
        if self.is_undrawn:
            lines.append(f"No pictures are drawn of more than {self.max_drawn:,} images; all of them: draw=true")
        return lines

    def _remaining_line(self, num_images: int) -> list[str]:
        return [f"... and {num_images - MAX_SUMMARY_ROWS:,} more"] if num_images > MAX_SUMMARY_ROWS else []


def common_folder(paths: Sequence[Path]) -> Path:
    """The deepest folder that contains all files."""
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))


def picture_names(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """The names of annotated images: unchanged for JPEG and PNG, else with ``.png`` appended; see `result_names`."""
    return result_names(
        {
            path: name if name.suffix.lower() in PICTURE_SUFFIXES else name.with_name(f"{name.name}.png")
            for path, name in relative_names(paths, folder).items()
        }
    )


def relative_names(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """The paths of files below a folder, as names of results of them: printable, and without a way out (``..``)."""
    return {path: Path(*map(safe_file_name, Path(os.path.abspath(path)).relative_to(folder).parts)) for path in paths}


def result_names(names: Mapping[Path, Path]) -> dict[Path, Path]:
    """Names of results that differ, in any case of their letters: one that is taken gets a number, ``cat_2.png``."""
    results: dict[Path, Path] = {}
    taken: set[str] = set()
    for path, name in names.items():
        result, number = name, 1
        while str(result).lower() in taken:
            number += 1
            result = name.with_name(f"{name.stem}_{number}{name.suffix}")
        taken.add(str(result).lower())
        results[path] = result
    return results
