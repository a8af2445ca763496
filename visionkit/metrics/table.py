"""A table of metrics, written as one CSV file."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Table", "confusion_table"]


@dataclass(frozen=True)
class Table:
    """Rows under a header.

    Attributes:
        columns: The header.
        rows: One sequence per row; None is an empty cell.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]


def confusion_table(class_names: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """A confusion matrix with a row per true class, from its counts (K, K)."""
    rows: list[tuple[str | int, ...]] = [(name, *row) for name, row in zip(class_names, counts, strict=True)]
    return Table(("true \\ predicted", *class_names), rows)
