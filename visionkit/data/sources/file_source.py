"""The base class of data sets of image files, whatever their targets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from visionkit.data.augment.presets import AugmentPreset
from visionkit.data.augment.spec import AUGMENTATIONS
from visionkit.data.findings import Finding
from visionkit.data.sources.base import Source
from visionkit.data.sources.recognize import is_structure_name, names_split, other_form
from visionkit.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visionkit.data.images import ImageReader
    from visionkit.data.sources.division import Division
    from visionkit.data.sources.overlaps import Names

__all__ = ["FileSource"]


@dataclass(frozen=True, kw_only=True)
class FileSource(Source):
    """Image files below a folder.

    Attributes:
        root: The folder of the data set.
        in_channels: The number of channels of an image: 3 decodes RGB, 1 grey, others take images of so many bands.
        val_fraction: The fraction of the training images held out for validation if there is no val split.
        test_fraction: The fraction held out for test if the data set is not divided; 0 makes no test split.
        split_seed: The seed of these random splits; null takes the run's seed.
        fold: The fold, from 0, that is the val split, for k-fold cross-validation of a data set without a val split;
            the test split is that of the data set, or there is none. null holds out ``val_fraction``.
        folds: The number of folds.
        group_by: What images of one group have in common, which are never divided between two splits: a regular
            expression with one group in parentheses that is searched in each path relative to the root, or ``folder``,
            the folder of the image. null takes each image for itself.
        allow_overlap: Whether an image may be in two splits; else it is an error.
        compare_contents: Whether copies of a file in two splits are found by their contents, else by paths and links.
        exclude: A text file of images that are left out, see `visionkit.data.sources.exclusion`; null leaves out none.
        max_pixels: Images of more pixels are left out, without being decoded.
        value_range: ``[low, high]``, the values of images of more than 8 bits or of floats that become 0 and 255;
            null measures them over the training split.
    """

    root: str | None
    in_channels: Annotated[int, Field(ge=1, le=16)]
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)]
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] | None
    fold: Annotated[int, Field(ge=0, lt=1_000_000)] | None
    folds: Annotated[int, Field(ge=2, le=1_000_000)]
    group_by: str | None
    allow_overlap: bool
    compare_contents: bool
    exclude: str | None
    max_pixels: Annotated[int, Field(gt=0, le=2**40)]
    value_range: tuple[float, float] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold is not None and self.fold >= self.folds:
            raise UserError(
                f"dataset.fold: found {self.fold}, but there are {self.folds} folds. Expected 0 to {self.folds - 1}. "
                f"For more folds: dataset.folds={self.fold + 1}"
            )
        self.check_group_by()
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise UserError(
                f"dataset.value_range: expected [low, high] with low below high, found {list(self.value_range)}. "
                "Try: dataset.value_range=[0,4095]"
            )
        augments = () if isinstance(self.augment, AugmentPreset) else self.augment
        for spec in augments if self.in_channels not in (1, 3) else ():
            if spec.changes_colours:
                name = AUGMENTATIONS.name_of(type(spec))
                raise UserError(
                    f"dataset.augment.{name} changes the colours of grey and RGB images, but dataset.in_channels="
                    f"{self.in_channels}. Try: dataset.augment.{name}=null"
                )

    def with_value_range(self, value_range: Sequence[float] | None) -> Source:
        return self if value_range is None else self._changed(value_range=(value_range[0], value_range[1]))

    def without_contents(self) -> Source:
        return self._changed(compare_contents=False)

    def _changed(self, **values: Any) -> Source:
        source = replace(self, **values)
        return source.for_target(str(self.target)) if hasattr(self, "target") else source

    def check_group_by(self) -> None:
        """Check ``group_by``.

        Raises:
            UserError: If it is no regular expression with one group in parentheses.
        """
        if self.group_by not in (None, "folder"):
            check_pattern(str(self.group_by))

    def image_reader(self, in_channels: int, *, value_range: tuple[float, float] | None = None) -> ImageReader:
        from visionkit.data.images import ImageReader

        return ImageReader(in_channels, value_range, self.max_pixels)

    def held_out_fractions(self, splits: Collection[str], *, is_divided: bool) -> dict[str, float]:
        """The fraction of train that is held out for each missing split.

        Args:
            splits: The splits that the data set has.
            is_divided: Whether the data set came divided in splits; only a missing val is then held out.

        Raises:
            UserError: If a fold is wanted and there is a val split.
        """
        if self.fold is not None:
            if "val" in splits:
                raise UserError(
                    f"dataset.fold: '{self.root}' has a val split of its own, which is not poured together with train. "
                    "Expected train alone, or train and test. Take the val split away, or: dataset.fold=null"
                )
            return {"val": 1 / self.folds}
        if "val" in splits:
            return {}
        if is_divided or not self.test_fraction:
            return {"val": self.val_fraction}
        return {"test": self.test_fraction, "val": self.val_fraction}

    def find_overlaps(
        self,
        root: Path,
        names: Mapping[str, Names],
        *,
        inodes: Mapping[str, NDArray[Any]] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        labels: Mapping[str, NDArray[Any]] | None = None,
    ) -> list[Finding]:
        """Findings on images and groups that are in two splits of the data set, and on images in two classes.

        Args:
            root: The folder that names are relative to.
            names: The paths of each split's images.
            inodes: The inode of each image, uint64 (N,), where they are known.
            groups: The group of each image, empty for one of its own; None takes it from the path.
            labels: The class id of each image, int64 (N,), if it has one.
        """
        from visionkit.data.sources.division import find_overlaps

        return find_overlaps(
            root,
            names,
            inodes=inodes,
            group_by=self.group_by,
            groups=groups,
            labels=labels,
            allow_overlap=self.allow_overlap,
            compare_contents=self.compare_contents,
        )

    def divide(
        self,
        root: Path,
        names: Names,
        labels: NDArray[Any],
        *,
        fractions: Mapping[str, float],
        origin: str,
        seed: int,
        saved: Mapping[str, Any] | None,
        inodes: NDArray[Any] | None = None,
        groups: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Division:
        """Hold images out of train at random, or restore what was held out before.

        Args:
            root: The folder that names are relative to.
            names: The paths of the images of train.
            labels: Class ids, int64 (N,), which the splits are stratified by.
            fractions: The result of `held_out_fractions`.
            origin: What images are held out of, for messages.
            seed: The seed of the run.
            saved: The names of each split, to restore them.
            inodes: The inode of each image, uint64 (N,), where they are known.
            groups: As for `find_overlaps`.
            class_names: The names of the classes, if each image has one; train must then have an image of each.

        Raises:
            UserError: If there are too few images or groups, no image of a class is left for train, or the saved splits
                do not fit the images.
        """
        from visionkit.data.sources import division

        if saved is not None:
            return division.restore(saved, names, dataset=self.name, root=str(self.root), origin=origin)
        return division.divide(
            root,
            names,
            labels,
            inodes=inodes,
            fractions=fractions,
            fold=None if self.fold is None else (self.fold, self.folds),
            group_by=self.group_by,
            groups=groups,
            compare_contents=self.compare_contents,
            origin=origin,
            seed=seed if self.split_seed is None else self.split_seed,
            class_names=class_names,
        )

    @contextmanager
    def naming_other_form(self) -> Iterator[None]:
        """Add to an error of a reader which other form the folder seems to have.

        Raises:
            UserError: That of the block.
        """
        try:
            yield
        except UserError as error:
            form = other_form(self.root, self.name)
            if form is None:
                raise
            stop = "" if str(error).endswith((".", "?")) else "."
            raise UserError(f"{error}{stop} {form.sentence}") from None

    def refuse_other_form(self, folders: Collection[str]) -> None:
        """Check that folders which are taken for classes are not the parts of a data set of another form.

        Args:
            folders: The names of all of them.

        Raises:
            UserError: If all are named after such parts, or there are none, and the form is known; or if all are named
                after splits.
        """
        form = other_form(self.root, self.name) if all(map(is_structure_name, folders)) else None
        if form is not None:
            found = f"the folders {', '.join(folders)}, which are no classes" if folders else "no folder of a class"
            raise UserError(f"dataset.root: found {found} in '{self.root}'. {form.sentence}")
        if folders and all(map(names_split, folders)):
            raise UserError(
                f"dataset.root: found the folders {', '.join(folders)} in '{self.root}', which are named after splits "
                "and taken for no classes. Expected train/CLASS/, val/CLASS/ and test/CLASS/, or CLASS/ alone. Rename "
                "them to train, val and test, or after their classes."
            )


def check_pattern(pattern: str) -> None:
    """Check a pattern of groups.

    Raises:
        UserError: If it is no regular expression with one group in parentheses.
    """
    advice = "Expected folder, or a regular expression with one group. Try: 'dataset.group_by=(patient\\d+)_'"
    try:
        num_groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"dataset.group_by: '{pattern}' is no regular expression: {error}. {advice}") from None
    if num_groups != 1:
        raise UserError(f"dataset.group_by: '{pattern}' has {num_groups} groups in parentheses. {advice}")
