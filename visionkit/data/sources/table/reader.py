"""Reading a table of images and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.split_names import split_in
from visionkit.data.sources.table.files import ImageFinder
from visionkit.data.sources.table.images import ImageCollector, LabelledImages
from visionkit.data.sources.table.labels import LabelReader, natural_order, read_flags
from visionkit.data.sources.table.rows import Rows, find_column, read_header, read_rows
from visionkit.errors import UserError

__all__ = ["ParsedTable", "TableColumns", "parse_table"]


@dataclass(frozen=True)
class TableColumns:
    """The names of the columns, see `visionkit.data.sources.table.source.Table`."""

    image: str
    image_suffix: str
    label: str
    labels: tuple[str, ...] | None
    label_separator: str | None
    split: str | None
    group: str | None


@dataclass(frozen=True)
class ParsedTable:
    """A table as it was read.

    Attributes:
        root: The folder that paths are relative to.
        class_names: The classes, in the order of their ids.
        splits: The images of each split; ``train`` alone if the table is not divided.
        names_splits: Whether the table has a column of splits, or its name is that of a split, such as ``train.csv``.
        findings: What was dropped, merged or is doubtful.
    """

    root: Path
    class_names: tuple[str, ...]
    splits: dict[str, LabelledImages]
    names_splits: bool
    findings: list[Finding]


def parse_table(path: Path, root: Path, columns: TableColumns, *, is_multilabel: bool) -> ParsedTable:
    """Read a table, and look for its images.

    Args:
        path: The CSV or Parquet file.
        root: The folder that paths are relative to.
        columns: The names of its columns.
        is_multilabel: Whether an image has any number of labels, else one.

    Raises:
        UserError: If the table cannot be read, has no such columns, or none of its images exists; or if its labels are
            of the other kind.
    """
    rows, split_column = _read_columns(path, columns)
    findings = Finding.of(
        "line-malformed",
        [f"line {line} of '{path.name}'" for line in rows.malformed],
        form="as many cells as the header",
    )
    reader = LabelReader(columns.label_separator)
    labels = read_flags(rows, columns.labels, path=path) if columns.labels else reader.read(rows.columns[columns.label])
    if not is_multilabel:
        _check_one_label_each(labels, rows, path)
    paths = [f"{cell}{columns.image_suffix}" if cell else "" for cell in rows.columns[columns.image]]
    finder = ImageFinder(root, [path.parent])
    finder.search(paths)
    collector = ImageCollector(finder, unites=is_multilabel)
    splits = None if split_column is None else [str(cell) for cell in rows.columns[split_column]]
    groups = None if columns.group is None else [str(cell) for cell in rows.columns[columns.group]]
    collector.add(paths, labels, splits, rows.lines, groups)
    images, findings = collector.images, [*findings, *collector.findings()]
    _check_images(images, findings, path=path, root=root)
    if is_multilabel and not (columns.labels or reader.found_list or collector.is_united):
        raise UserError(
            f"dataset.file: every row of '{path}' has one label, so that classes exclude each other. Expected several "
            "in some cells, such as cat;dog, or dataset.label_columns. Try: task=classify"
        )
    names = columns.labels or natural_order(
        label for split in images.values() for label_set in set(split.labels) for label in label_set
    )
    names_splits = split_column is not None or split_in(path.stem) is not None
    return ParsedTable(root, tuple(names), images, names_splits, findings)


def _read_columns(path: Path, columns: TableColumns) -> tuple[Rows, str | None]:
    """The columns that are needed, and the name of the one of splits."""
    header = read_header(path)
    wanted = {columns.image: "image_column"}
    wanted |= dict.fromkeys(columns.labels, "label_columns") if columns.labels else {columns.label: "label_column"}
    split = columns.split or ("split" if "split" in header else None)
    if split is not None:
        wanted[split] = "split_column"
    if columns.group is not None:
        wanted.setdefault(columns.group, "group_by")
    for name, key in wanted.items():
        find_column(header, name, key=f"dataset.{key}", path=path)
    return read_rows(path, list(wanted)), split


def _check_one_label_each(labels: Sequence[tuple[str, ...]], rows: Rows, path: Path) -> None:
    several = [position for position, label_set in enumerate(labels) if len(label_set) > 1]
    if several:
        first = labels[several[0]]
        raise UserError(
            f"dataset.file: line {rows.lines[several[0]]} of '{path}' has {len(first)} labels, {', '.join(first[:5])}, "
            f"as have {len(several):,} of {len(rows):,} rows, but task 'classify' needs one an image. "
            "Try: task=multilabel. If it is the name of one class: dataset.label_separator=,"
        )


def _check_images(images: Mapping[str, LabelledImages], findings: Sequence[Finding], *, path: Path, root: Path) -> None:
    if not images:
        details = " ".join(f"{finding.note}." for finding in findings) or "It has no rows."
        raise UserError(
            f"dataset.file: no image of '{path}' can be used. {details} Expected paths relative to '{root}' or to the "
            "table. Try: dataset.root=path/to/images, or dataset.image_suffix=.jpg where it is left out"
        )
    if "train" not in images:
        raise UserError(
            f"dataset.file: '{path}' has images of {' and '.join(images)}, but none of train. Expected the words "
            "train, val and test in its column of splits."
        )
