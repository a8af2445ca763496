"""A table of metrics, written as one CSV file."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """Rows under a header.

    Attributes:
        columns: The header.
        rows: One sequence per row; None is an empty cell.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
