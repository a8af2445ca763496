"""The lines of YOLO's text files: ``class`` and numbers, whatever the numbers mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.schema import quote

__all__ = ["LabelLines"]

_SEPARATORS = str.maketrans(",;", "  ")


@dataclass
class LabelLines:
    """The lines of one split's label files, and the places of those that are not read as they stand.

    Attributes:
        image: The position of each line's image.
        labels: Its class id.
        values: The numbers after the class id.
        malformed: Places of lines that hold something else.
        repeated: Places of lines that repeat an earlier one of their file.
        unread: The place and the text of the first line that holds something else.
        with_commas: Places of lines whose commas were read as spaces or decimal points.
    """

    image: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unread: tuple[str, str] | None = None
    with_commas: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=list)
    _file_of: list[int] = field(default_factory=list)
    _numbers: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def place(self, row: int) -> str:
        """The file and the number of a line."""
        return f"{self._files[self._file_of[row]]} line {self._numbers[row]}"

    def read(self, file: str, image: int, num_classes: int) -> None:
        """Add the lines of an image's label file.

        Raises:
            UserError: If the file is too large, or a class id is out of range.
        """
        try:
            text = read_text(file)
        except (OSError, UnicodeError) as error:
            self.malformed.append(f"{file} ({error})")
            return
        self._files.append(file)
        seen: set[tuple[int, tuple[float, ...]]] = set()
        for number, line in enumerate(text.splitlines(), start=1):
            if "," in line or ";" in line:
                line = _read_commas(line)
                self.with_commas.append(f"{file} line {number}")
            words = line.split()
            if not words:
                continue
            try:
                label, values = float(words[0]), tuple(map(float, words[1:]))
            except ValueError:
                label, values = 0.5, ()
            if not label.is_integer() or len(values) < 4:
                self.malformed.append(f"{file} line {number}")
                self.unread = self.unread or (self.malformed[-1], line.strip())
                continue
            if not 0 <= label < num_classes:
                raise UserError(
                    f"dataset.root: {file} line {number}: class id {quote(words[0])[1:-1]} is out of range: there are "
                    f"{num_classes} names. Expected 0 to {num_classes - 1}. Mend the file, or add the class to names."
                )
            entry = (int(label), values)
            if entry in seen:
                self.repeated.append(f"{file} line {number}")
                continue
            seen.add(entry)
            self._add(entry, image, number)

    def _add(self, entry: tuple[int, Sequence[float]], image: int, number: int) -> None:
        self.image.append(image)
        self.labels.append(entry[0])
        self.values.append(tuple(entry[1]))
        self._file_of.append(len(self._files) - 1)
        self._numbers.append(number)


def _read_commas(line: str) -> str:
    """A line with spaces between its numbers, and points in them."""
    words = line.split()
    is_decimal = len(words) >= 5 and ";" not in line and all(re.fullmatch(r"-?\d+(,\d+)?", word) for word in words)
    return line.replace(",", ".") if is_decimal else line.translate(_SEPARATORS)
