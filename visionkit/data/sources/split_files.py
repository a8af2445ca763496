"""The base class of data sets with annotation or mask files: random splits, resizing, strictness."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.findings import Finding, check_findings
from visionkit.data.sources.base import DataInfo, Splits
from visionkit.data.sources.file_source import FileSource
from visionkit.data.sources.split_names import FILL_VAL, comes_divided
from visionkit.errors import UserError
from visionkit.schema import STRICT

if TYPE_CHECKING:
    from visionkit.data.dataset import FileDataset, ImageDataset
    from visionkit.data.sources.annotations import ParsedDataset
    from visionkit.data.transforms import InputTransform

__all__ = ["SplitFiles", "SplitPaths"]


@dataclass(frozen=True, kw_only=True)
class SplitPaths:
    """The path of each split, relative to the root; null searches for it."""

    train: str | None = None
    val: str | None = None
    test: str | None = None

    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True, kw_only=True)
class SplitFiles(FileSource):
    """Image files, and files with their targets.

    Attributes:
        fit: How images are resized to ``image_size``, see `visionkit.data.transforms.InputTransform`.
        max_size: For ``fit: resize_pad``, the maximum of the longer side, in pixels; null for no limit.
    """

    fit: Literal["letterbox", "resize_pad", "resize"]
    max_size: Annotated[int, Field(gt=0, le=65_536)] | None

    @abstractmethod
    def read(self) -> ParsedDataset[Any]:
        """Parse images, targets and classes from the files, without torch.

        Raises:
            UserError: If the files are missing, cannot be read, or hold nothing valid.
        """

    @abstractmethod
    def make_dataset(self, parsed: ParsedDataset[Any], images: Any) -> FileDataset:
        """The samples of a split.

        Args:
            parsed: The data set, as `read`.
            images: One of its splits, or a subset of one.
        """

    def limit(self, parsed: ParsedDataset[Any]) -> ParsedDataset[Any]:
        """The data set without what would exhaust memory, with findings on that and on what is doubtful.

        Raises:
            UserError: If all targets of a split are of another form than the data set's.
        """
        return parsed

    def check_annotations(self, parsed: ParsedDataset[Any]) -> None:
        """Check the annotations of the whole data set, before it is split.

        Raises:
            UserError: If there is nothing to learn from.
        """
        return

    def check_splits(self, splits: Mapping[str, Any], *, remedy: str) -> list[str]:
        """Check that each split has targets to train on or to evaluate with.

        Args:
            splits: The images of each split, train and val among them.
            remedy: What the user can do if a split has none, for the message.

        Returns:
            Notes for the user.

        Raises:
            UserError: If train or val has no targets.
        """
        return []

    def class_findings(self, parsed: ParsedDataset[Any], splits: Mapping[str, Any]) -> list[Finding]:
        """Findings on classes, as they are in the final splits.

        Args:
            parsed: The data set.
            splits: The images of each split, train among them.
        """
        return []

    def check(self, *, strict: bool = False) -> None:
        """Read all files but the images.

        Args:
            strict: Whether a finding is an error.

        Raises:
            UserError: As `read`, `check_annotations` and `check_splits`; also if splits overlap, or there are too few
                images to split.
        """
        check_findings(self._findings, dataset=self.name, keys=self.keys, strict=strict)
        self.info()
        self._held_out_fractions()

    def info(self) -> DataInfo:
        parsed = self._parsed
        return self.describe(parsed.class_names, in_channels=self.in_channels, category_ids=parsed.category_ids)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, self.fit, max_size=self.max_size)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        import numpy

        self.check(strict=strict)
        parsed = self._parsed
        splits, saved_splits = dict(parsed.splits), None
        findings, division_notes = list(self._findings), list[str]()
        fractions = self._held_out_fractions()
        if fractions:
            undivided = splits["train"]
            division = self.divide(
                parsed.root,
                undivided.names,
                numpy.zeros(len(undivided), dtype=numpy.int64),
                fractions=fractions,
                origin="train" if self._is_divided else "all images",
                seed=seed,
                saved=saved,
            )
            check_findings(division.findings, dataset=self.name, keys=self.keys, strict=strict)
            splits |= {split: undivided.select(positions) for split, positions in division.positions.items()}
            findings += division.findings
            division_notes = division.notes
            saved_splits = division.saved
        class_findings = self.class_findings(parsed, splits)
        check_findings(class_findings, dataset=self.name, keys=self.keys, strict=strict)
        findings += class_findings
        notes = [*parsed.notes, *(finding.note for finding in findings), *division_notes]
        notes += self.check_splits(splits, remedy="Try another division: dataset.split_seed=1")
        samples: dict[str, ImageDataset] = {
            split: self.make_dataset(parsed, splits[split]) for split in ("train", "val", "test") if split in splits
        }
        return Splits(samples, saved_splits, notes, findings)

    @cached_property
    def _parsed(self) -> ParsedDataset[Any]:
        with self.naming_other_form():
            parsed = self._without_empty_test(self._without_excluded(self.limit(self.read())))
            self.check_annotations(parsed)
        if "val" in parsed.splits:
            self.check_splits(parsed.splits, remedy="Without a val of its own, images are held out of train.")
        return parsed

    def _without_excluded(self, parsed: ParsedDataset[Any]) -> ParsedDataset[Any]:
        """The data set without the images that ``exclude`` names."""
        from visionkit.data.sources.exclusion import Exclusion

        exclusion = Exclusion(self.exclude, Path(str(self.root)).expanduser())
        if not exclusion:
            return parsed
        import numpy

        splits = {
            split: images.select(numpy.flatnonzero(exclusion.keeps(parsed.root, images.names)))
            for split, images in parsed.splits.items()
        }
        return replace(parsed, splits=splits, findings=[*parsed.findings, *exclusion.findings()])

    def _without_empty_test(self, parsed: ParsedDataset[Any]) -> ParsedDataset[Any]:
        """The data set without a test split of which no image is left, which is said.

        Raises:
            UserError: If none is left of val.
        """
        empty = [split for split in ("val", "test") if split in parsed.splits and not len(parsed.splits[split])]
        if "val" in empty:
            details = "".join(f" {finding.note}." for finding in parsed.findings)
            raise UserError(f"dataset.root: no image is left of val in '{self.root}'.{details} {FILL_VAL}")
        if not empty:
            return parsed
        findings = Finding.of("split-left-out", ["test: none of its images is left"])
        splits = {split: images for split, images in parsed.splits.items() if split != "test"}
        return replace(parsed, splits=splits, findings=[*parsed.findings, *findings])

    @cached_property
    def _findings(self) -> list[Finding]:
        """Those of the reader, and images that are in two splits."""
        parsed = self._parsed
        names = {split: images.names for split, images in parsed.splits.items()}
        return [*parsed.findings, *self.find_overlaps(parsed.root, names)]

    @cached_property
    def _is_divided(self) -> bool:
        parsed = self._parsed
        names = {split: images.names for split, images in parsed.splits.items()}
        return comes_divided(names, is_named=parsed.names_splits)

    def _held_out_fractions(self) -> dict[str, float]:
        """The fraction of train that is held out for each missing split, checked against the number of images."""
        splits = self._parsed.splits
        fractions = self.held_out_fractions(splits, is_divided=self._is_divided)
        total = len(splits["train"])
        if total <= len(fractions):
            raise UserError(
                f"dataset.root: '{self.root}' has {total} image(s), too few to divide in train and "
                f"{' and '.join(fractions)}. Expected at least {len(fractions) + 1}."
            )
        return fractions
