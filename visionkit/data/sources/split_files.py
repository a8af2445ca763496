"""What data sets have in common whose targets lie in files of their own: division, preprocessing, strictness."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.sources.base import DataInfo, Source, Splits
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
    """A path, relative to the root, for each split; null looks for it."""

    train: str | None = None
    val: str | None = None
    test: str | None = None

    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True, kw_only=True)
class SplitFiles(Source):
    """Image files, and other files that say what is in them.

    Attributes:
        root: The folder of the data set.
        in_channels: 3 reads images in colour, 1 in grey.
        fit: How images are brought to ``image_size``, see `visionkit.data.transforms.InputTransform`.
        max_size: For ``fit: resize_pad``, the longest side allowed, in pixels; null allows any.
        val_fraction: Share of the training images held out where there are none for validation.
        test_fraction: Share held out where the set came undivided; 0 makes no test split.
        split_seed: Of that choice; null takes the run's seed.
    """

    root: str | None = None
    in_channels: Literal[1, 3] = 3
    fit: Literal["letterbox", "resize_pad", "resize"] = "letterbox"
    max_size: Annotated[int, Field(gt=0)] | None = None
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.15
    split_seed: Annotated[int, Field(ge=0)] | None = None

    @abstractmethod
    def read(self) -> ParsedDataset[Any]:
        """Images, what is in them, classes, and what is odd, from the files and without torch.

        Raises:
            UserError: If the files are missing, cannot be read, or nothing is left of them.
        """

    @abstractmethod
    def make_dataset(self, parsed: ParsedDataset[Any], images: Any) -> FileDataset:
        """The samples of a split.

        Args:
            found: What was read.
            images: One of its splits, or a part of one.
        """

    def check_annotations(self, parsed: ParsedDataset[Any]) -> None:
        """Look at all that was read, before it is divided.

        Raises:
            UserError: If there is nothing to learn from.
        """
        return

    def check_splits(self, splits: Mapping[str, Any], *, remedy: str) -> list[str]:
        """Look whether the splits can be learnt from and judged by.

        Args:
            splits: What each split has, train and val among them.
            remedy: What to do where they cannot.

        Returns:
            What a person should know of them.

        Raises:
            UserError: If they cannot.
        """
        return []

    def check(self, *, strict: bool = False) -> None:
        """Read everything but the images.

        Args:
            strict: Whether anything odd is an error.

        Raises:
            UserError: As `read`; also if no object is marked in train or in val, splits overlap, or there are too few
                images to divide.
        """
        parsed = self._parsed
        if strict:
            from visionkit.data.findings import raise_first

            raise_first(parsed.findings, dataset=self.name)
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
        return Splits(samples, saved_splits, notes)

    @cached_property
    def _parsed(self) -> ParsedDataset[Any]:
        parsed = self.read()
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
        """How many images each part that is held out gets."""
        shares = {"val": self.val_fraction}
        if "test" not in parsed.splits and self.test_fraction:
            shares = {"test": self.test_fraction, **shares}
        total = len(parsed.splits["train"])
        if total <= len(shares):
            raise UserError(
                f"dataset.root: '{self.root}' has {total} image(s), too few to divide in train and "
                f"{' and '.join(shares)}. Expected at least {len(shares) + 1}."
            )
        return {part: max(1, round(share * total)) for part, share in shares.items()}

    def _random_or_saved_splits(
        self, parsed: ParsedDataset[Any], images: Any, *, seed: int, saved: Mapping[str, Any] | None, notes: list[str]
    ) -> dict[str, Any]:
        import numpy

        if saved is None:
            parts = self._held_out_sizes(parsed)
            one_class = numpy.zeros(len(images), dtype=numpy.int64)
            chosen = hold_out(one_class, parts, seed=seed if self.split_seed is None else self.split_seed)
        else:
            names, restore_notes = restore_splits(saved, set(images.names), dataset=self.name, root=str(self.root))
            notes += restore_notes
            positions_by_name = {name: position for position, name in enumerate(images.names)}
            chosen = {
                split: numpy.array([positions_by_name[name] for name in split_names], dtype=numpy.int64)
                for split, split_names in names.items()
            }
        origin = "train" if "test" in parsed.splits else "all images"
        total = sum(map(len, chosen.values()))
        notes += [
            f"{split} held out of {origin}: {len(chosen[split])} of {total}" for split in chosen if split != "train"
        ]
        return {split: images.select(positions) for split, positions in chosen.items()}
