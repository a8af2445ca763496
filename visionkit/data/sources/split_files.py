"""The base class of data sets with annotation or mask files: random splits, resizing, strictness."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.findings import check_findings
from visionkit.data.sources.base import DataInfo, Splits
from visionkit.data.sources.file_source import FileSource
from visionkit.data.splitting import hold_out, restore_splits
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
    max_size: Annotated[int, Field(gt=0)] | None

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
        """The data set with what would exhaust memory left out, and findings on it."""
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

    def check(self, *, strict: bool = False) -> None:
        """Read all files but the images.

        Args:
            strict: Whether a finding is an error.

        Raises:
            UserError: As `read`, `check_annotations` and `check_splits`; also if splits overlap, or there are too few
                images to split.
        """
        parsed = self._parsed
        check_findings(parsed.findings, dataset=self.name, strict=strict)
        self.info()
        if "val" not in parsed.splits:
            self._held_out_sizes(parsed)

    def info(self) -> DataInfo:
        parsed = self._parsed
        return self.describe(parsed.class_names, in_channels=self.in_channels, category_ids=parsed.category_ids)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, self.fit, max_size=self.max_size)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        self.check(strict=strict)
        parsed = self._parsed
        splits, saved_splits = dict(parsed.splits), None
        notes = [*parsed.notes, *(finding.note for finding in parsed.findings)]
        if "val" not in splits:
            undivided = splits.pop("train")
            generated = self._random_or_saved_splits(parsed, undivided, seed=seed, saved=saved, notes=notes)
            splits |= generated
            saved_splits = {split: list(images.names) for split, images in generated.items()}
        notes += self.check_splits(splits, remedy="Try another division: dataset.split_seed=1")
        samples: dict[str, ImageDataset] = {
            split: self.make_dataset(parsed, splits[split]) for split in ("train", "val", "test") if split in splits
        }
        return Splits(samples, saved_splits, notes, parsed.findings)

    @cached_property
    def _parsed(self) -> ParsedDataset[Any]:
        parsed = self.limit(self.read())
        self.check_annotations(parsed)
        split_of: dict[str, str] = {}
        for split, images in parsed.splits.items():
            duplicate = next((name for name in images.names if name in split_of), None)
            if duplicate is not None:
                raise UserError(
                    f"dataset '{self.name}': '{duplicate}' is listed for {split_of[duplicate]} and for {split}, but "
                    f"splits must not overlap. Take it out of one of them; without val, images are held out of train."
                )
            split_of |= dict.fromkeys(images.names, split)
        if "val" in parsed.splits:
            self.check_splits(parsed.splits, remedy="Without a val of its own, images are held out of train.")
        return parsed

    def _held_out_sizes(self, parsed: ParsedDataset[Any]) -> dict[str, int]:
        """The number of images of each split that is held out of train."""
        fractions = {"val": self.val_fraction}
        if "test" not in parsed.splits and self.test_fraction:
            fractions = {"test": self.test_fraction, **fractions}
        total = len(parsed.splits["train"])
        if total <= len(fractions):
            raise UserError(
                f"dataset.root: '{self.root}' has {total} image(s), too few to divide in train and "
                f"{' and '.join(fractions)}. Expected at least {len(fractions) + 1}."
            )
        return {part: max(1, round(fraction * total)) for part, fraction in fractions.items()}

    def _random_or_saved_splits(
        self, parsed: ParsedDataset[Any], images: Any, *, seed: int, saved: Mapping[str, Any] | None, notes: list[str]
    ) -> dict[str, Any]:
        import numpy

        if saved is None:
            parts = self._held_out_sizes(parsed)
            labels = numpy.zeros(len(images), dtype=numpy.int64)
            positions_by_split = hold_out(labels, parts, seed=seed if self.split_seed is None else self.split_seed)
        else:
            names, restore_notes = restore_splits(saved, set(images.names), dataset=self.name, root=str(self.root))
            notes += restore_notes
            positions_by_name = {name: position for position, name in enumerate(images.names)}
            positions_by_split = {
                split: numpy.array([positions_by_name[name] for name in split_names], dtype=numpy.int64)
                for split, split_names in names.items()
            }
        origin = "train" if "test" in parsed.splits else "all images"
        total = sum(map(len, positions_by_split.values()))
        notes += [
            f"{split} held out of {origin}: {len(positions_by_split[split])} of {total}"
            for split in positions_by_split
            if split != "train"
        ]
        return {split: images.select(positions) for split, positions in positions_by_split.items()}
