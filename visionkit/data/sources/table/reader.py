"""Reading a table of images and their labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.class_names import doubtful_classes
from visionkit.data.sources.split_names import FILL_VAL, split_in, split_of
from visionkit.data.sources.table.columns import SplitColumn, find_split_column
from visionkit.data.sources.table.files import ImageFinder
from visionkit.data.sources.table.images import ImageCollector, LabelledImages
from visionkit.data.sources.table.labels import LabelReader, joined_labels, natural_order, read_flags
from visionkit.data.sources.table.rows import Rows, find_column, read_header, read_rows
from visionkit.errors import UserError
from visionkit.text import normal_form

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
        names_splits: Whether a table has a column of splits, or its name is that of a split, such as ``train.csv``.
        findings: What was dropped, merged or is doubtful.
    """

    root: Path
    class_names: tuple[str, ...]
    splits: dict[str, LabelledImages]
    names_splits: bool
    findings: list[Finding]


@dataclass(frozen=True)
class _Cells:
    """What the rows of one table say."""

    paths: list[str]
    labels: list[tuple[str, ...]]
    splits: list[str] | None
    groups: list[str] | None
    lines: Sequence[int]
    is_list: bool
    named_splits: frozenset[str]


def parse_table(
    tables: Mapping[Path, str | None], root: Path, columns: TableColumns, *, is_multilabel: bool
) -> ParsedTable:
    """Read a table, or one for each split, and look for the images.

    Args:
        tables: The CSV or Parquet files, and the split of each; None if its rows say it.
        root: The folder that paths are relative to.
        columns: The names of the columns.
        is_multilabel: Whether an image has any number of labels, else one.

    Raises:
        UserError: If a table cannot be read, has no such columns, or none of its images exists; or if its labels are
            of the other kind.
    """
    findings = list[Finding]()
    read = {path: _read_cells(path, split, columns, findings, is_multilabel) for path, split in tables.items()}
    path, first = next((path, cells) for path, cells in read.items() if cells is not None)
    finder = ImageFinder(root, [path.parent])
    finder.search(image for cells in read.values() if cells is not None for image in cells.paths)
    collector = ImageCollector(finder, unites=is_multilabel)
    for table, cells in read.items():
        if cells is not None:
            name = table.name if len(tables) > 1 else ""
            collector.add(cells.paths, cells.labels, cells.splits, cells.lines, cells.groups, table=name)
    images, findings = collector.images, [*findings, *collector.findings()]
    named = {split_of(word) for cells in read.values() if cells is not None for word in cells.named_splits}
    findings += _check_images(images, findings, named, path=path, root=root)
    is_list = collector.is_united or any(cells.is_list for cells in read.values() if cells is not None)
    labels = {label for split in images.values() for label_set in set(split.labels) for label in label_set}
    if is_multilabel and not is_list:
        raise _single_labels(labels, path)
    names = tuple(map(normal_form, columns.labels)) if columns.labels else tuple(natural_order(labels))
    separator, joined = joined_labels(names)
    findings += [*doubtful_classes(names), *Finding.of("labels-joined", joined, separator=separator)]
    names_splits = first.splits is not None or split_in(path.stem) is not None
    return ParsedTable(root, names, images, names_splits, findings)


def _read_cells(
    path: Path, split: str | None, columns: TableColumns, findings: list[Finding], is_multilabel: bool
) -> _Cells | None:
    """The cells of a table; None for one of val or test that has no labels, which is a finding."""
    header = read_header(path)
    label_columns = columns.labels or (columns.label,)
    if split not in (None, "train") and not set(map(normal_form, label_columns)) <= set(header):
        findings += Finding.of("table-unlabelled", [path.name])
        return None
    wanted = {columns.image: "image_column"} | dict.fromkeys(
        label_columns, "label_columns" if columns.labels else "label_column"
    )
    if columns.split is not None:
        wanted[columns.split] = "split_column"
    if columns.group is not None:
        wanted.setdefault(columns.group, "group_by")
    names = {name: find_column(header, name, key=f"dataset.{key}", path=path) for name, key in wanted.items()}
    split_column = SplitColumn(None if columns.split is None else names[columns.split])
    if split is None and columns.split is None:
        split_column = find_split_column(path, header, used=names.values())
    findings += split_column.findings
    rows = read_rows(path, list(dict.fromkeys([*names.values(), *filter(None, [split_column.name])])))
    form = "as many cells as the header, without open quotes and control characters"
    findings += Finding.of("line-malformed", [f"line {line} of '{path.name}'" for line in rows.malformed], form=form)
    findings += Finding.of("row-several-lines", [f"line {line} of '{path.name}'" for line in rows.inner])
    reader = LabelReader(columns.label_separator)
    if columns.labels:
        labels = read_flags(rows, [names[name] for name in columns.labels], path=path)
    else:
        labels = reader.read(rows.columns[names[columns.label]])
    if not is_multilabel:
        _check_one_label_each(labels, rows, path)
    splits = None if split is None else [split] * len(rows)
    if split_column.name is not None:
        splits = split_column.words(rows.columns[split_column.name])
    return _Cells(
        [f"{cell}{columns.image_suffix}" if cell else "" for cell in rows.columns[names[columns.image]]],
        labels,
        splits,
        None if columns.group is None else [str(cell) for cell in rows.columns[names[columns.group]]],
        rows.lines,
        bool(columns.labels) or reader.found_list,
        frozenset(splits or ()) if split is None else frozenset({split}),
    )


def _single_labels(labels: Collection[str], path: Path) -> UserError:
    """The error where images should have any number of labels and each has one."""
    separator, joined = joined_labels(sorted(labels))
    if joined:
        return UserError(
            f"dataset.file: labels of '{path}' such as '{joined[0]}' seem to be several, with '{separator}' between "
            f"them. Expected a semicolon or a bar there. Try: 'dataset.label_separator=\"{separator}\"'"
        )
    return UserError(
        f"dataset.file: every row of '{path}' has one label, so that classes exclude each other. Expected several "
        "in some cells, such as cat;dog, or dataset.label_columns. Try: task=classify"
    )


def _check_one_label_each(labels: Sequence[tuple[str, ...]], rows: Rows, path: Path) -> None:
    several = [position for position, label_set in enumerate(labels) if len(label_set) > 1]
    if several:
        first = labels[several[0]]
        raise UserError(
            f"dataset.file: line {rows.lines[several[0]]} of '{path}' has {len(first)} labels, {', '.join(first[:5])}, "
            f"as have {len(several):,} of {len(rows):,} rows, but task 'classify' needs one an image. "
            "Try: task=multilabel. If it is the name of one class: dataset.label_separator=,"
        )


def _check_images(
    images: Mapping[str, LabelledImages],
    findings: Sequence[Finding],
    named: Collection[str | None],
    *,
    path: Path,
    root: Path,
) -> list[Finding]:
    """Check that train and val have images, if a table or its rows name them.

    Args:
        images: The images of each split.
        findings: What was found, for the message.
        named: The splits that tables or their rows name.
        path: The first table.
        root: The folder that paths are relative to.

    Returns:
        A finding if test is named and has none.

    Raises:
        UserError: If there are none.
    """
    details = " ".join(f"{finding.note}." for finding in findings) or "It has no rows."
    if not images:
        raise UserError(
            f"dataset.file: no image of '{path}' can be used. {details} Expected paths relative to '{root}' or to the "
            "table. Try: dataset.root=path/to/images, or dataset.image_suffix=.jpg where it is left out"
        )
    lost = next((split for split in ("train", "val") if split in named and split not in images), None)
    if lost is not None:
        advice = f" {FILL_VAL}" if lost == "val" else ""
        raise UserError(f"dataset.file: no image of {lost} in '{path.parent}' can be used. {details}{advice}")
    if "train" not in images:
        raise UserError(
            f"dataset.file: '{path}' has images of {' and '.join(images)}, but none of train. Expected the words "
            "train, val and test in its column of splits."
        )
    is_lost = "test" in named and "test" not in images
    return Finding.of("split-left-out", ["test: none of its images can be used"] if is_lost else [])
