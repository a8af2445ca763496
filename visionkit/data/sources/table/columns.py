"""Which column of a table says the split of each row, by its name and its words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.split_names import normal_name, split_of
from visionkit.data.sources.table.rows import Column, read_head
from visionkit.errors import UserError

__all__ = ["SplitColumn", "find_split_column"]

_MAX_ROWS = 100_000
_NAMES = frozenset(
    {
        *("split", "splits", "subset", "set", "partition", "phase", "data_split", "dataset_split", "split_name"),
        *("fold", "folds", "kfold", "k_fold", "is_train"),
    }
)
_FLAGS: Mapping[str, str] = {
    **dict.fromkeys(("is_valid", "is_val", "is_validation", "valid"), "val"),
    **dict.fromkeys(("is_test", "is_test_set"), "test"),
}
_YES, _NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})


@dataclass(frozen=True)
class SplitColumn:
    """The column of splits.

    Attributes:
        name: Its name; None if there is none.
        flag: The split of the rows where it says yes, the others being train; None if it has the words of splits.
        findings: The column that was taken although it is not called ``split``, or those that were not.
    """

    name: str | None
    flag: str | None = None
    findings: list[Finding] = field(default_factory=list)

    def words(self, column: Column) -> list[str]:
        """The split of each cell, as written."""
        cells = list(map(str, column))
        return cells if self.flag is None else [self.flag if cell.lower() in _YES else "train" for cell in cells]


def find_split_column(path: Path, header: Sequence[str], *, used: Collection[str]) -> SplitColumn:
    """The column of splits: ``split``, else the one that is called so in another way or has the words of splits.

    Args:
        path: The table.
        header: The names of its columns.
        used: The columns that hold something else, such as the labels.

    Raises:
        UserError: If there are several, or the table cannot be read.
    """
    if "split" in header and "split" not in used:
        return SplitColumn("split")
    others = [name for name in dict.fromkeys(header) if name not in used and header.count(name) == 1]
    words = {name: set(map(str, column)) for name, column in read_head(path, others, limit=_MAX_ROWS).items()}
    found = {name: _flag(name, words[name]) for name in words if _says_split(name, words[name])}
    if len(found) > 1:
        raise UserError(
            f"dataset.split_column: {len(found)} columns of '{path}' look like that of splits: {', '.join(found)}. "
            f"Say which one it is: dataset.split_column={next(iter(found))}"
        )
    unread = [name for name in words if name not in found and _is_called_split(name)]
    findings = Finding.of("split-column", list(found)) + Finding.of("column-not-read", unread)
    name = next(iter(found), None)
    return SplitColumn(name, None if name is None else found[name], findings)


def _is_called_split(name: str) -> bool:
    return normal_name(name) in _NAMES or normal_name(name) in _FLAGS


def _says_split(name: str, words: set[str]) -> bool:
    """Whether a column has the words of several splits, or of train alone and a name for it, or is a flag."""
    splits = {split_of(word) for word in words if word}
    if "train" in splits and (None not in splits or _is_called_split(name)):
        return len(splits - {None}) > 1 or _is_called_split(name)
    return _flag(name, words) is not None


def _flag(name: str, words: set[str]) -> str | None:
    """The split that a column of yes and no marks; None if it is no such column."""
    lower = {word.lower() for word in words if word}
    is_flag = bool(lower & _YES) and bool(lower & _NO) and lower <= _YES | _NO
    return _FLAGS.get(normal_name(name)) if is_flag else None
