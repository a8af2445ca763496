"""Image folders with one sub-folder per class.

Four layouts are supported; `visionkit.data.sources.split_names` has other names of splits::

    root/train/CLASS/  root/val/CLASS/  root/test/CLASS/     as they are
    root/train/CLASS/  root/test/CLASS/                      val is held out of train
    root/train/CLASS/  root/val/CLASS/                       no test split; validation metrics are reported
    root/CLASS/                                              random stratified splits, which are saved

``dataset.fold`` makes one of k folds val in place of a random part; it needs a set without a val folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.findings import Finding, check_findings
from visionkit.data.image_files import LeftOut
from visionkit.data.sources.base import DataInfo, Splits
from visionkit.data.sources.class_names import doubtful_classes
from visionkit.data.sources.file_source import FileSource
from visionkit.data.sources.folder.layout import Layout, check_class_names, count_images, find_layout
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_names import sub_folders
from visionkit.data.splitting import check_class_sizes
from visionkit.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visionkit.data.sources.division import Division
    from visionkit.data.sources.folder.scan import SplitScan
    from visionkit.data.transforms import InputTransform

__all__ = ["Folder"]


@dataclass(frozen=True, kw_only=True)
class Folder(FileSource):
    """A folder with one sub-folder of images per class.

    Attributes:
        fit: How images are resized to ``image_size``, see `visionkit.data.transforms.InputTransform`.
        crop_ratio: For ``fit: resize_crop``, the fraction of the shorter side that is kept.
    """

    fit: Literal["resize", "pad", "resize_crop"]
    crop_ratio: Annotated[float, Field(gt=0, le=1)]

    expected: ClassVar[str] = "train/CLASS/, val/CLASS/ and test/CLASS/, or CLASS/ alone, with images in each CLASS"

    def check(self, *, strict: bool = False) -> None:
        """Look for the first images of each class; `splits` lists all.

        Args:
            strict: Whether a finding is an error.

        Raises:
            UserError: As `Source.check`.
        """
        layout = self._layout()
        fractions = self.held_out_fractions(layout.split_folders, is_divided=layout.is_divided)
        findings = list(layout.findings)
        counts = {"train": self._train_counts}
        counts |= {split: count_images(layout, split, limit=1) for split in layout.split_folders if split != "train"}
        classes = _with_images(counts["train"])
        findings += doubtful_classes(classes)
        with self.naming_other_form():
            self._check_classes(layout, "train", classes, classes)
        for split, split_counts in counts.items():
            self._check_classes(layout, split, _with_images(split_counts), classes)
            empty = [
                os.fsdecode(layout.class_folder(split, n)).rstrip("/") for n, count in split_counts.items() if not count
            ]
            findings += Finding.of("class-empty", empty)
        check_findings(findings, dataset=self.name, keys=self.keys, strict=strict)
        self.describe(self._display_names(classes), in_channels=self.in_channels)
        if fractions and self.group_by is None:
            self._check_sizes(classes, [counts["train"][name] for name in classes], layout, fractions)

    def info(self) -> DataInfo:
        classes = _with_images(self._train_counts)
        with self.naming_other_form():
            self._check_classes(self._layout(), "train", classes, classes)
        return self.describe(self._display_names(classes), in_channels=self.in_channels)

    @cached_property
    def _train_counts(self) -> dict[str, int]:
        """The number of images of each class folder of train, at most as many as a division needs."""
        layout = self._layout()
        with self.naming_other_form():
            return count_images(layout, "train", limit=3)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, self.fit, crop_ratio=self.crop_ratio)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        import torch

        from visionkit.data.dataset import FileDataset, ImageDataset
        from visionkit.data.sources.folder.scan import scan_split

        layout, left_out = self._layout(), LeftOut()
        scans = {split: scan_split(layout, split, left_out) for split in layout.split_folders}
        scans, excluded = self._without_excluded(layout, scans)
        classes = scans["train"].classes
        for split, scan in scans.items():
            self._check_classes(layout, split, scan.classes, classes)
        labels = {split: scan.labels(classes) for split, scan in scans.items()}
        findings = [*self._findings(layout, scans, labels), *left_out.findings(), *excluded]
        check_findings(findings, dataset=self.name, keys=self.keys, strict=strict)
        names = {split: scan.names for split, scan in scans.items()}
        division = self._divide(layout, scans["train"], labels["train"], seed=seed, saved=saved)
        if division is not None:
            check_findings(division.findings, dataset=self.name, keys=self.keys, strict=strict)
            findings += division.findings
            names |= {split: names["train"][rows] for split, rows in division.positions.items()}
            labels |= {split: labels["train"][rows] for split, rows in division.positions.items()}
        for split in ("val", "test"):
            if split in labels:
                present = set(labels[split].tolist())
                missing = [name for label, name in enumerate(classes) if label not in present]
                findings += Finding.of("class-not-in-split", missing, split=split)
        samples: dict[str, ImageDataset] = {
            split: FileDataset(layout.root, names[split], torch.from_numpy(labels[split]), in_channels=self.in_channels)
            for split in ("train", "val", "test")
            if split in names
        }
        notes = [*(finding.note for finding in findings), *(division.notes if division else [])]
        return Splits(samples, division.saved if division else None, notes, findings)

    def _without_excluded(
        self, layout: Layout, scans: Mapping[str, SplitScan]
    ) -> tuple[dict[str, SplitScan], list[Finding]]:
        """The scans without the images that ``exclude`` names, and what is said of them."""
        import numpy

        from visionkit.data.sources.exclusion import Exclusion

        exclusion = Exclusion(self.exclude, layout.root)
        if not exclusion:
            return dict(scans), []
        kept = {
            split: scan.select(numpy.array(exclusion.keeps(layout.root, scan.names.tolist()), dtype=bool))
            for split, scan in scans.items()
        }
        return kept, exclusion.findings()

    def _layout(self) -> Layout:
        root = existing_root(self.root, name=self.name, expected=self.expected)
        with self.naming_other_form():
            layout = find_layout(root, allow_overlap=self.allow_overlap)
        self.refuse_other_form(sub_folders(layout.path("train")))
        return layout

    def _check_classes(self, layout: Layout, split: str, classes: Sequence[str], train_classes: Sequence[str]) -> None:
        """Check that train has two classes with images, and another split some of them and no others."""
        if split == "train":
            if len(classes) < 2:
                raise UserError(
                    f"dataset.root: '{layout.path('train')}' has {len(classes)} class folder(s) with images"
                    f"{f' ({classes[0]})' if classes else ''}; at least 2 are needed. Expected {self.expected}."
                )
            return
        check_class_names(classes, train_classes, folder=layout.path(split))
        if not classes:
            raise UserError(
                f"dataset.root: no images in '{layout.path(split)}'. Fill it, or remove it and let "
                "visionkit hold images out of train."
            )

    def _findings(
        self, layout: Layout, scans: Mapping[str, SplitScan], labels: Mapping[str, NDArray[Any]]
    ) -> list[Finding]:
        return [
            *layout.findings,
            *doubtful_classes(scans["train"].classes),
            *Finding.of("class-empty", [name for scan in scans.values() for name in scan.empty]),
            *Finding.of("image-no-class", [name for scan in scans.values() for name in scan.loose]),
            *self.find_overlaps(
                layout.root,
                {split: scan.names for split, scan in scans.items()},
                inodes={split: scan.inodes for split, scan in scans.items()},
                labels=labels,
            ),
        ]

    def _display_names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """The names of classes for people, where a byte that is no UTF-8 is written as ``\\xff``."""
        return tuple(os.fsencode(name).decode("utf-8", "backslashreplace") for name in classes)

    def _check_sizes(
        self, classes: Sequence[str], sizes: Sequence[int], layout: Layout, fractions: Mapping[str, float]
    ) -> None:
        advice = "Add images, remove the class, or divide them yourself into train/, val/ and test/."
        if "test" in fractions:
            advice += " Or make no test split: dataset.test_fraction=0"
        where = f"dataset.root '{layout.path('train')}'"
        check_class_sizes(dict(zip(classes, sizes, strict=True)), list(fractions), where=where, advice=advice)

    def _divide(
        self, layout: Layout, train: SplitScan, labels: NDArray[Any], *, seed: int, saved: Mapping[str, Any] | None
    ) -> Division | None:
        """What is held out of train; None if there is a val split."""
        fractions = self.held_out_fractions(layout.split_folders, is_divided=layout.is_divided)
        if not fractions:
            return None
        if saved is None and self.group_by is None:
            self._check_sizes(train.classes, train.sizes, layout, fractions)
        return self.divide(
            layout.root,
            train.names,
            labels,
            inodes=train.inodes,
            fractions=fractions,
            origin="train" if layout.is_divided else "all images",
            seed=seed,
            saved=saved,
            class_names=self._display_names(train.classes),
        )


def _with_images(counts: Mapping[str, int]) -> list[str]:
    return [name for name, count in counts.items() if count]
