"""What data sets of images with boxes in files have in common: division, preprocessing, strictness."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.sources.base import DataInfo, Source, Splits
from visionkit.data.splitting import hold_out, recall_division
from visionkit.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from visionkit.data.samples import FileSamples, Samples
    from visionkit.data.sources.marked import Found, MarkedImages
    from visionkit.data.transforms import Preprocess

__all__ = ["BoxFiles"]


@dataclass(frozen=True, kw_only=True)
class BoxFiles(Source):
    """Image files, and other files that say where objects are.

    Attributes:
        root: The folder of the data set.
        in_channels: 3 reads images in colour, 1 in grey.
        fit: How images are brought to ``image_size``, see `visionkit.data.transforms.Preprocess`.
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

    gives: ClassVar[frozenset[str]] = frozenset({"boxes"})

    @abstractmethod
    def read(self) -> Found:
        """Images, boxes, classes, and what is odd about them, from the files and without torch.

        Raises:
            UserError: If the files are missing or cannot be read.
        """

    def check(self, *, strict: bool = False) -> None:
        """Read all annotations.

        Args:
            strict: Whether anything odd is an error.

        Raises:
            UserError: As `read`; also if no object is marked in train or in val, splits overlap, or there are too few
                images to divide.
        """
        found = self._found
        if strict:
            from visionkit.data.sources.marked import refuse

            refuse(found.findings, dataset=self.name)
        self.info()
        if "val" not in found.splits:
            self._parts(found)

    def info(self) -> DataInfo:
        found = self._found
        return self.describe(found.class_names, in_channels=self.in_channels, category_ids=found.category_ids)

    def preprocess(self) -> Preprocess:
        from visionkit.data.transforms import Preprocess

        return Preprocess(self.size, self.fit, max_size=self.max_size)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        self.check(strict=strict)
        found = self._found
        splits, record, notes = dict(found.splits), None, [finding.note for finding in found.findings]
        if "val" not in splits:
            whole = splits.pop("train")
            divided = self._divide(found, whole, seed=seed, saved=saved, notes=notes)
            self._check_objects(divided, remedy="Try another division: dataset.split_seed=1")
            splits |= divided
            record = {split: list(images.names) for split, images in divided.items()}
        if "test" in splits and splits["test"].objects.crowd.all():
            notes.append("no object is marked in test: its images are all background, and no precision can be told")
        samples: dict[str, Samples] = {
            split: self._samples(found.root, splits[split]) for split in ("train", "val", "test") if split in splits
        }
        return Splits(samples, record, notes)

    @cached_property
    def _found(self) -> Found:
        found = self.read()
        if not any(len(images.objects) for images in found.splits.values()):
            lost = "".join(f" {finding.note}." for finding in found.findings)
            raise UserError(
                f"dataset '{self.name}': no annotation at all: no object is marked in any of the "
                f"{sum(map(len, found.splits.values()))} images of '{self.root}'.{lost} Expected boxes in some."
            )
        seen: dict[str, str] = {}
        for split, images in found.splits.items():
            twice = next((name for name in images.names if name in seen), None)
            if twice is not None:
                raise UserError(
                    f"dataset '{self.name}': '{twice}' is listed for {seen[twice]} and for {split}, but splits must "
                    f"not overlap. Take it out of one of them; without val, images are held out of train."
                )
            seen |= dict.fromkeys(images.names, split)
        if "val" in found.splits:
            self._check_objects(found.splits, remedy="Without a val of its own, images are held out of train.")
        return found

    def _check_objects(self, splits: Mapping[str, MarkedImages], *, remedy: str) -> None:
        """Without objects nothing is learnt from train, and no epoch is better than another in val."""
        for split in ("train", "val"):
            if splits[split].objects.crowd.all():
                raise UserError(
                    f"dataset '{self.name}': no object is marked in any of the {len(splits[split])} images of {split} "
                    f"in '{self.root}'. Expected boxes in some of train and of val. {remedy}"
                )

    def _parts(self, found: Found) -> dict[str, int]:
        """How many images each part that is held out gets."""
        shares = {"val": self.val_fraction}
        if "test" not in found.splits and self.test_fraction:
            shares = {"test": self.test_fraction, **shares}
        total = len(found.splits["train"])
        if total <= len(shares):
            raise UserError(
                f"dataset.root: '{self.root}' has {total} image(s), too few to divide in train and "
                f"{' and '.join(shares)}. Expected at least {len(shares) + 1}."
            )
        return {part: max(1, round(share * total)) for part, share in shares.items()}

    def _divide(
        self, found: Found, whole: MarkedImages, *, seed: int, saved: Mapping[str, Any] | None, notes: list[str]
    ) -> dict[str, MarkedImages]:
        import numpy

        if saved is None:
            parts = self._parts(found)
            one_class = numpy.zeros(len(whole), dtype=numpy.int64)
            chosen = hold_out(one_class, parts, seed=seed if self.split_seed is None else self.split_seed)
        else:
            names, newer = recall_division(saved, set(whole.names), dataset=self.name, root=str(self.root))
            notes += newer
            place = {name: position for position, name in enumerate(whole.names)}
            chosen = {
                split: numpy.array([place[name] for name in listed], dtype=numpy.int64)
                for split, listed in names.items()
            }
        what = "train" if "test" in found.splits else "all images"
        total = sum(map(len, chosen.values()))
        notes += [
            f"{split} held out of {what}: {len(chosen[split])} of {total}" for split in chosen if split != "train"
        ]
        return {split: whole.select(positions) for split, positions in chosen.items()}

    def _samples(self, root: Path, images: MarkedImages) -> FileSamples:
        import torch

        from visionkit.data.annotations import Annotation, Annotations
        from visionkit.data.samples import FileSamples

        objects = images.objects
        boxes = torch.from_numpy(objects.boxes)
        sizes = torch.from_numpy(images.sizes)
        if images.relative:
            sizes = _read_sizes(FileSamples(root, images.names, in_channels=self.in_channels))
            boxes = boxes * sizes[torch.from_numpy(objects.image)].flip(1).repeat(1, 2)
        box_areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        area = torch.from_numpy(objects.area)
        starts = torch.searchsorted(torch.from_numpy(objects.image), torch.arange(len(images) + 1))
        marked = Annotation(
            boxes.float(),
            torch.from_numpy(objects.labels),
            torch.from_numpy(objects.crowd),
            torch.where(area.isnan(), box_areas, area).float(),
        )
        return FileSamples(
            root,
            images.names,
            in_channels=self.in_channels,
            annotations=Annotations(starts, marked),
            sizes=sizes if bool(sizes.any()) and not images.relative else None,
        )


def _read_sizes(samples: FileSamples) -> Tensor:
    """Height and width of each file from its header, int64 (N, 2); 1 and 1 where it cannot be read."""
    import torch

    from visionkit.data.memory import read_sizes

    sizes, _ = read_sizes(samples, range(len(samples)), strict=False)
    return torch.from_numpy(sizes).clamp(min=1)
