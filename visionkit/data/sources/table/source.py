"""A table of images and their labels: one label an image, or any number.

A row has the path of an image, relative to the root or to the table's folder, or absolute. With a column of splits the
images are divided by it; what is missing is held out of train, or of all images, stratified by class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.findings import Finding, check_findings
from visionkit.data.sources.base import DataInfo, Source, Splits
from visionkit.data.sources.exclusion import Exclusion
from visionkit.data.sources.file_source import FileSource
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_names import comes_divided
from visionkit.data.sources.table.images import LabelledImages, label_ids, strata
from visionkit.data.sources.table.reader import ParsedTable, TableColumns, parse_table
from visionkit.data.sources.table.tables import find_tables
from visionkit.data.splitting import check_class_sizes
from visionkit.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from visionkit.data.dataset import ImageDataset
    from visionkit.data.sources.division import Division
    from visionkit.data.transforms import InputTransform

__all__ = ["Table"]

_MAX_FLAGS = 1 << 31
"""The maximum of images times classes, which take a byte each where an image has any number of classes."""


@dataclass(frozen=True, kw_only=True)
class Table(FileSource):
    """A CSV or Parquet file with a row for each image.

    Attributes:
        file: The table, relative to the working directory or to ``root``, or a folder with one for each split, such as
            ``train.csv`` and ``val.csv``; null takes the only one in ``root``, or those of splits.
        root: The folder that paths are relative to; null takes that of the table. Paths may also be relative to the
            table's folder, or absolute.
        image_column: The column of paths.
        image_suffix: What is appended to each path.
        label_column: The column of labels.
        label_columns: The columns of classes, with 1 for images that have the class and else 0; null reads
            ``label_column``.
        label_separator: What stands between the labels of a cell; null for a semicolon or a bar.
        split_column: The column of splits; null takes ``split``, or the one that has the words of splits.
        group_by: As for `FileSource`, or the name of a column, such as of patients; an empty cell is no group.
        fit: How images are resized to ``image_size``, see `visionkit.data.transforms.InputTransform`.
        crop_ratio: For ``fit: resize_crop``, the fraction of the shorter side that is kept.
        target: The kind of target, set by `for_target`: ``label``; ``label_set``, any number of classes per image.
    """

    file: str | None
    image_column: str
    image_suffix: str
    label_column: str
    label_columns: tuple[str, ...] | None
    label_separator: Annotated[str, Field(min_length=1)] | None
    split_column: str | None
    fit: Literal["resize", "pad", "resize_crop"]
    crop_ratio: Annotated[float, Field(gt=0, le=1)]
    target: str = field(default="label", init=False)

    targets: ClassVar[frozenset[str]] = frozenset({"label", "label_set"})

    def for_target(self, target: str) -> Source:
        if target == self.target or target not in self.targets:
            return self
        source = replace(self)
        object.__setattr__(source, "target", target)
        return source

    def check_group_by(self) -> None:
        if self._group_column is None:
            super().check_group_by()

    def check(self, *, strict: bool = False) -> None:
        """Read the table, and look for its images.

        Raises:
            UserError: If the table is missing or cannot be read, no image exists, the labels are of another task, there
                are too few images, or a finding is an error.
        """
        parsed = self._parsed
        check_findings(parsed.findings, dataset=self.name, keys=self.keys, strict=strict)
        self.info()
        self._check_classes(parsed)
        fractions = self.held_out_fractions(parsed.splits, is_divided=self._is_divided)
        if fractions and self.group_by is None:
            self._check_sizes(parsed, list(fractions))

    def info(self) -> DataInfo:
        return self.describe(self._parsed.class_names, in_channels=self.in_channels)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, self.fit, crop_ratio=self.crop_ratio)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        self.check(strict=strict)
        parsed = self._parsed
        splits = dict(parsed.splits)
        division = self._divide(parsed, seed=seed, saved=saved)
        findings = [*parsed.findings, *self._find_overlaps(parsed), *(division.findings if division else [])]
        check_findings(findings, dataset=self.name, keys=self.keys, strict=strict)
        if division is not None:
            splits |= {split: splits["train"].select(rows.tolist()) for split, rows in division.positions.items()}
        findings += _classes_without_images(parsed.class_names, splits)
        samples: dict[str, ImageDataset] = {
            split: self._make_dataset(parsed, splits[split]) for split in ("train", "val", "test") if split in splits
        }
        notes = [*(finding.note for finding in findings), *(division.notes if division else [])]
        return Splits(samples, division.saved if division else None, notes, findings)

    @cached_property
    def _parsed(self) -> ParsedTable:
        with self.naming_other_form():
            return self._read()

    def _read(self) -> ParsedTable:
        tables, beside = find_tables(self.file, self.root, name=self.name)
        root = (
            next(iter(tables)).parent
            if self.root is None
            else existing_root(self.root, name=self.name, expected="images")
        )
        columns = TableColumns(
            image=self.image_column,
            image_suffix=self.image_suffix,
            label=self.label_column,
            labels=self.label_columns and tuple(dict.fromkeys(self.label_columns)),
            label_separator=self.label_separator,
            split=self.split_column,
            group=self._group_column,
        )
        parsed = parse_table(tables, root, columns, is_multilabel=self.target == "label_set")
        exclusion = Exclusion(self.exclude, root)
        splits = parsed.splits
        if exclusion:
            splits = {split: _kept(images, exclusion, parsed.root) for split, images in splits.items()}
        findings = [*Finding.of("table-beside", beside), *parsed.findings, *exclusion.findings()]
        return replace(parsed, splits=splits, findings=findings)

    def _check_classes(self, parsed: ParsedTable) -> None:
        train = {label for labels in set(parsed.splits["train"].labels) for label in labels}
        if self.target == "label":
            if len(train) < 2:
                raise UserError(
                    f"dataset '{self.name}': the images of train have {len(train)} class ({', '.join(sorted(train))}); "
                    f"at least 2 are needed. The labels are read from the column '{self.label_column}'."
                )
            unknown = [name for name in parsed.class_names if name not in train]
            if unknown:
                raise UserError(
                    f"dataset '{self.name}': no image of train has the class '{unknown[0]}', which others have"
                    f"{f', nor {len(unknown) - 1} more' if len(unknown) > 1 else ''}.{did_you_mean(unknown[0], train)} "
                    "Expected the classes of train, spelled alike. Correct the labels, or add training images."
                )
        elif len(parsed.class_names) * sum(map(len, parsed.splits.values())) > _MAX_FLAGS:
            raise UserError(
                f"dataset '{self.name}': {len(parsed.class_names):,} classes are too many for so many images. Are the "
                "labels texts? Expected a few words that many images share."
            )

    def _check_sizes(self, parsed: ParsedTable, parts: list[str]) -> None:
        train = parsed.splits["train"]
        advice = "Add images, or a column 'split' of your own."
        sizes = {"all": len(train)}
        if self.target == "label":
            counts = Counter(label for labels in train.labels for label in labels)
            sizes = {name: counts[name] for name in parsed.class_names}
        check_class_sizes(sizes, parts, where=f"dataset '{self.name}'", advice=advice)

    def _find_overlaps(self, parsed: ParsedTable) -> list[Finding]:
        names = {split: images.names for split, images in parsed.splits.items()}
        groups: dict[str, list[str]] | None = {split: images.groups for split, images in parsed.splits.items()}
        labels = None
        if self.target == "label":
            labels = {split: self._class_ids(parsed, images) for split, images in parsed.splits.items()}
        groups = None if self._group_column is None else groups
        return self.find_overlaps(parsed.root, names, groups=groups, labels=labels)

    def _divide(self, parsed: ParsedTable, *, seed: int, saved: Mapping[str, Any] | None) -> Division | None:
        """What is held out of train; None if there is a val split."""
        fractions = self.held_out_fractions(parsed.splits, is_divided=self._is_divided)
        if not fractions:
            return None
        train = parsed.splits["train"]
        if self.target == "label":
            labels = self._class_ids(parsed, train)
        else:
            labels = strata(train.labels, least=self.folds if self.fold is not None else 1 + len(fractions))
        return self.divide(
            parsed.root,
            train.names,
            labels,
            fractions=fractions,
            origin="train" if self._is_divided else "all images",
            seed=seed,
            saved=saved,
            groups=None if self._group_column is None else train.groups,
            class_names=parsed.class_names if self.target == "label" else None,
        )

    def _class_ids(self, parsed: ParsedTable, images: LabelledImages) -> NDArray[Any]:
        """The class id of each image, int64 (N,), where each has one."""
        import numpy

        return numpy.array([label for (label,) in label_ids(images.labels, parsed.class_names)], dtype=numpy.int64)

    @cached_property
    def _is_divided(self) -> bool:
        names = {split: images.names for split, images in self._parsed.splits.items()}
        return comes_divided(names, is_named=self._parsed.names_splits)

    @property
    def _group_column(self) -> str | None:
        """The column of groups; a pattern of paths has parentheses."""
        is_pattern = self.group_by is None or self.group_by == "folder" or "(" in self.group_by
        return None if is_pattern else self.group_by

    def _make_dataset(self, parsed: ParsedTable, images: LabelledImages) -> ImageDataset:
        import torch

        from visionkit.data.dataset import FileDataset

        ids = label_ids(images.labels, parsed.class_names)
        if self.target == "label":
            labels = torch.tensor([label for (label,) in ids], dtype=torch.int64)
        else:
            labels = torch.zeros(len(ids), len(parsed.class_names), dtype=torch.uint8)
            rows = torch.arange(len(ids)).repeat_interleave(torch.tensor([len(label_set) for label_set in ids]))
            labels[rows, torch.tensor([label for label_set in ids for label in label_set], dtype=torch.int64)] = 1
        return FileDataset(parsed.root, images.names, labels, in_channels=self.in_channels)


def _classes_without_images(class_names: Sequence[str], splits: Mapping[str, LabelledImages]) -> list[Finding]:
    findings = []
    for split, images in splits.items():
        present = {label for labels in set(images.labels) for label in labels}
        missing = [name for name in class_names if name not in present]
        findings += Finding.of("class-untrained" if split == "train" else "class-not-in-split", missing, split=split)
    return findings


def _kept(images: LabelledImages, exclusion: Exclusion, root: Path) -> LabelledImages:
    kept = exclusion.keeps(root, images.names)
    return images.select([row for row, keep in enumerate(kept) if keep])
