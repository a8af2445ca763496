"""Image folders with one sub-folder per class.

Four layouts are supported::

    root/train/CLASS/  root/val/CLASS/  root/test/CLASS/     as they are
    root/train/CLASS/  root/test/CLASS/                      val is held out of train
    root/train/CLASS/  root/val/CLASS/                       no test split; validation metrics are reported
    root/CLASS/                                              random stratified splits, which are saved
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.sources.base import DataInfo, Splits, existing_root
from visionkit.data.sources.file_source import FileSource
from visionkit.data.sources.folder.layout import Layout, check_class_names, find_layout, list_classes
from visionkit.data.sources.split_names import sub_folders
from visionkit.data.splitting import check_class_sizes, hold_out, restore_splits
from visionkit.errors import UserError

if TYPE_CHECKING:
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
        layout = self._layout()
        classes, _ = self._classes(layout, strict=strict)
        self.describe(self._display_names(classes), in_channels=self.in_channels)
        if "val" not in layout.split_folders:
            fractions = self._held_out_fractions(layout)
            sizes = {name: len(layout.list_files("train", name, limit=len(fractions) + 1)) for name in classes}
            self._check_sizes(sizes, layout)

    def info(self) -> DataInfo:
        classes, _ = self._classes(self._layout(), strict=False)
        return self.describe(self._display_names(classes), in_channels=self.in_channels)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, self.fit, crop_ratio=self.crop_ratio)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        layout = self._layout()
        classes, notes = self._classes(layout, strict=strict)
        files = {split: self._list_files(layout, split, classes) for split in layout.split_folders}
        saved_splits = None
        if "val" not in layout.split_folders:
            if saved is None:
                generated = self._random_splits(layout, classes, files["train"], seed=seed)
            else:
                names, restore_notes = restore_splits(saved, files["train"], dataset=self.name, root=str(self.root))
                generated = {
                    split: {name: files["train"][name] for name in split_names} for split, split_names in names.items()
                }
                notes += restore_notes
            files |= generated
            saved_splits = {split: list(generated[split]) for split in generated}
            origin = "all images" if layout.split_folders["train"] == "" else "train"
            for split in ("val", "test"):
                if split in generated:
                    total = sum(map(len, generated.values()))
                    notes.append(f"{split} held out of {origin}: {len(generated[split])} of {total}")
        return self._make_splits(layout, files, saved_splits, notes)

    def _make_splits(
        self,
        layout: Layout,
        files: Mapping[str, Mapping[str, int]],
        saved_splits: dict[str, Any] | None,
        notes: list[str],
    ) -> Splits:
        import torch

        from visionkit.data.dataset import FileDataset, ImageDataset

        samples: dict[str, ImageDataset] = {
            split: FileDataset(
                layout.root,
                list(files[split]),
                torch.tensor(list(files[split].values()), dtype=torch.int64),
                in_channels=self.in_channels,
            )
            for split in ("train", "val", "test")
            if split in files
        }
        return Splits(samples, saved_splits, notes)

    def _layout(self) -> Layout:
        layout = find_layout(existing_root(self.root, name=self.name, expected=self.expected))
        self.refuse_other_form(sub_folders(layout.path("train")))
        return layout

    def _classes(self, layout: Layout, *, strict: bool) -> tuple[list[str], list[str]]:
        """The class folders of train, and notes on dropped ones."""
        classes, empty = list_classes(layout.path("train"), strict=strict)
        notes = []
        if empty:
            notes.append(f"{len(empty)} class folder(s) without images dropped: {', '.join(empty)}")
        if len(classes) < 2:
            raise UserError(
                f"dataset.root: '{layout.path('train')}' has {len(classes)} class folder(s) with images"
                f"{f' ({classes[0]})' if classes else ''}; at least 2 are needed. Expected {self.expected}."
            )
        for split in layout.split_folders:
            if split == "train":
                continue
            split_classes, _ = list_classes(layout.path(split), strict=strict)
            check_class_names(split_classes, classes, folder=layout.path(split))
            if not split_classes:
                raise UserError(
                    f"dataset.root: no images in '{layout.path(split)}'. Fill it, or remove it and let "
                    "visionkit hold images out of train."
                )
        return classes, notes

    def _display_names(self, classes: list[str]) -> tuple[str, ...]:
        return tuple(classes)

    def _list_files(self, layout: Layout, split: str, classes: list[str]) -> dict[str, int]:
        """The class id of each image of a split, by path relative to the root."""
        return {
            name: label
            for label, folder in enumerate(classes)
            if layout.path(split).joinpath(folder).is_dir()
            for name in layout.list_files(split, folder)
        }

    def _held_out_fractions(self, layout: Layout) -> dict[str, float]:
        parts = {"val": self.val_fraction}
        if layout.split_folders["train"] == "" or "test" not in layout.split_folders:
            parts = {"test": self.test_fraction, **parts}
        return {name: fraction for name, fraction in parts.items() if fraction > 0}

    def _check_sizes(self, sizes: Mapping[str, int], layout: Layout) -> None:
        parts = list(self._held_out_fractions(layout))
        advice = "Add images, remove the class, or divide them yourself into train/, val/ and test/."
        if "test" in parts:
            advice += " Or make no test split: dataset.test_fraction=0"
        check_class_sizes(sizes, parts, where=f"dataset.root '{layout.path('train')}'", advice=advice)

    def _random_splits(
        self, layout: Layout, classes: list[str], files: Mapping[str, int], *, seed: int
    ) -> dict[str, dict[str, int]]:
        import numpy

        counts = Counter(files.values())
        self._check_sizes({name: counts[label] for label, name in enumerate(classes)}, layout)
        names = list(files)
        parts = {part: round(fraction * len(names)) for part, fraction in self._held_out_fractions(layout).items()}
        seed = seed if self.split_seed is None else self.split_seed
        positions_by_split = hold_out(numpy.array(list(files.values())), parts, seed=seed)
        return {
            split: {names[i]: files[names[i]] for i in positions} for split, positions in positions_by_split.items()
        }
