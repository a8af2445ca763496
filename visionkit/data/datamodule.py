"""The Lightning DataModule: a source's splits, decoded once where they fit, as batches of uint8 images.

A batch of labelled images is ``{"images": uint8 (B, C, H, W), "label": int64 (B,), "index": int64 (B,)}``; what one of
images with boxes or instances holds says `visionkit.data.collate.detection`, of images with masks
`visionkit.data.collate.segmentation`.
"""

from __future__ import annotations

import json
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from visionkit.data.augment.image import Augment
from visionkit.data.augment.joint import JointAugment
from visionkit.data.cache import ImageCache, decode_originals, decode_prepared
from visionkit.data.collate.base import PaddedBatchReader
from visionkit.data.collate.classification import BatchReader
from visionkit.data.collate.detection import DetectionBatchReader, InstanceBatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.dataset import FileDataset, ImageDataset
from visionkit.data.loader import BatchLoader, choose_num_workers
from visionkit.data.sampler import BatchSampler
from visionkit.data.shared_cache import SharedCache
from visionkit.data.sources import DataInfo, Source, Splits
from visionkit.data.splitting import read_splits
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["VisionDataModule"]

_READERS: dict[str, type[PaddedBatchReader[Any]]] = {
    "boxes": DetectionBatchReader,
    "instances": InstanceBatchReader,
    "mask": SegmentationBatchReader,
}

_STAGES = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": (),
    None: ("train", "val", "test"),
}


class VisionDataModule(LightningDataModule):
    """Batches of a data source for training, validation and test, which never overlap.

    Args:
        source: The data set.
        target: The key of the targets in a batch, one that the source gives.
        batch_size: Over all processes together; each gets its equal part.
        seed: Of shuffling, augmentation and, where the source fixes none, of a random division.
        strict: Whether something broken is an error instead of a note.
        splits_file: Where a division that the source made by itself is kept (JSON): read if it exists, else written.
        shared: What earlier runs in this process have read; None reads anew.

    Attributes:
        notes: What a person should know of the data: what was held out, dropped or is missing.

    Raises:
        UserError: If the source does not give the target.
    """

    def __init__(
        self,
        source: Source,
        *,
        target: str = "label",
        batch_size: int,
        seed: int,
        strict: bool = False,
        splits_file: Path | None = None,
        shared: SharedCache | None = None,
    ) -> None:
        super().__init__()
        source = source.for_target(target)
        if target not in source.gives:
            raise UserError(f"dataset '{source.name}' gives {', '.join(sorted(source.gives))}, not '{target}'.")
        self.source, self.target, self.strict = source, target, strict
        self.batch_size, self.seed = batch_size, seed
        self.splits_file = Path(splits_file) if splits_file is not None else None
        self.shared = shared if shared is not None else SharedCache()
        self._splits: Splits | None = None
        self._readers: dict[str, BatchReader] = {}
        self._dropped: dict[str, list[str]] = {}
        self._used_bytes = 0

    @cached_property
    def info(self) -> DataInfo:
        """Names, sizes and normalisation of the data set."""
        return self.source.info()

    @property
    def sizes(self) -> dict[str, int]:
        """How many samples each split has; without ``"test"`` where there is no test split."""
        return {split: len(self.dataset(split)) for split in self._divided().samples}

    @property
    def divided_here(self) -> bool:
        """Whether the source made the division by itself, so that only a saved one can be met again."""
        return self._divided().saved is not None

    @property
    def notes(self) -> list[str]:
        """What was held out, dropped or is missing, in sentences."""
        splits = self._divided()
        notes = list(splits.notes)
        if "test" not in splits.samples:
            notes.append("no test split: validation numbers are reported")
        for split in splits.samples:
            lost = list(self._dropped.get(split, []))
            reader = self._readers.get(split)
            if reader is not None and len(reader.broken):
                lost += [reader.samples.name(int(index)) for index in reader.broken.nonzero()]
            if lost:
                more = f" and {len(lost) - 10} more" if len(lost) > 10 else ""
                notes.append(f"{len(lost)} unreadable image(s) of {split} dropped: {', '.join(lost[:10])}{more}")
        return notes

    def prepare_data(self) -> None:
        """Fetch what is missing, once per machine.

        Raises:
            UserError: If it cannot be fetched.
        """
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Divide the data and decode what fits into memory; then, with the data known to be good, save the division.

        Args:
            stage: ``"fit"``, ``"validate"``, ``"test"``, or None for all.

        Raises:
            UserError: If the data are missing, broken or too few.
        """
        splits = self._divided()
        for split in _STAGES.get(stage, ()):
            if split in splits.samples:
                self._reader(split)
        if splits.saved is not None and self.splits_file and not self.splits_file.exists() and self._rank == 0:
            write_atomic(self.splits_file, json.dumps(splits.saved, indent=0, ensure_ascii=False))

    def dataset(self, split: str) -> ImageDataset:
        """The samples of a split, before any preprocessing.

        Raises:
            UserError: If there is no such split.
        """
        known = self._divided().samples
        if split not in known:
            raise UserError(
                f"dataset '{self.source.name}' has no split '{split}'. Known splits: {', '.join(known)}. Try: split=val"
            )
        return self._readers[split].samples if split in self._readers else known[split]

    def class_counts(self) -> Tensor:
        """How many training samples, or objects or pixels in them, each class has, int64 (num_classes,)."""
        samples = self.dataset("train")
        if samples.masks is not None:
            return samples.masks.count_pixels(self.info.num_classes)
        labels = samples.labels if samples.annotations is None else samples.annotations.objects.labels
        return torch.bincount(labels, minlength=self.info.num_classes)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled, augmented batches of the training split."""
        return self._loader("train", training=True)

    def val_dataloader(self) -> BatchLoader:
        """The validation split in order."""
        return self._loader("val", training=False)

    def test_dataloader(self) -> BatchLoader:
        """The test split in order; a `UserError` if there is none."""
        return self._loader("test", training=False)

    def loader(self, split: str) -> BatchLoader:
        """Any split in order and without augmentation, for evaluation.

        Raises:
            UserError: If there is no such split.
        """
        return self._loader(split, training=False)

    def _divided(self) -> Splits:
        if self._splits is None:
            if self.trainer is None:
                self.prepare_data()
            saved = read_splits(self.splits_file) if self.splits_file and self.splits_file.exists() else None
            self._splits = self.shared.splits(self.source, seed=self.seed, saved=saved, strict=self.strict)
        return self._splits

    def _reader(self, split: str) -> BatchReader:
        """The evaluation reader of a split; what it decoded serves training too."""
        if split not in self._readers:
            samples = self.dataset(split)
            decoded, prepared = None, False
            if isinstance(samples, FileDataset):
                prepared = split != "train" or not self._augment.wants_original
                decoded = self._decode(samples, split, prepared=prepared)
                if decoded is not None and decoded.problems:
                    self._dropped[split] = [samples.name(index) for index in decoded.problems]
                    if not len(decoded.keep):
                        raise UserError(
                            f"none of the {len(samples)} images of the {split} split can be read: "
                            f"{next(iter(decoded.problems.values()))}"
                        )
                    samples = samples.select(decoded.keep)
            self._readers[split] = self._make_reader(samples, decoded, prepared)
        return self._readers[split]

    def _make_reader(
        self, samples: ImageDataset, decoded: ImageCache | None, prepared: bool, *, training: bool = False
    ) -> BatchReader:
        transform, augment = self.source.input_transform(), self._augment
        known: dict[str, Any] = {"decoded": decoded, "prepared": prepared, "strict": self.strict}
        if isinstance(augment, JointAugment):
            chosen = augment if training else None
            return _READERS[self.target](samples, transform, training=training, augment=chosen, **known)
        return BatchReader(samples, transform, augment=augment if training else None, target=self.target, **known)

    def _decode(self, samples: FileDataset, split: str, *, prepared: bool) -> ImageCache | None:
        budget = self.source.cache_mb * 2**20 - self._used_bytes
        several_sizes = not prepared or self.target in _READERS
        transform = self.source.input_transform()

        def decode() -> ImageCache | None:
            if several_sizes:
                fit = transform if prepared else None
                return decode_originals(samples, budget=budget, strict=self.strict, fit=fit)
            return decode_prepared(samples, transform, budget=budget, strict=self.strict)

        most = len(samples) * samples.in_channels * prod(self.source.size)
        bounded = prepared and transform.mode != "resize_pad"
        decoded = self.shared.decoded(
            self.source,
            division=self._divided().saved,
            split=split,
            prepared=prepared,
            strict=self.strict,
            need=min(most, budget) if bounded else budget,
            decode=decode,
        )
        self._used_bytes += decoded.nbytes if decoded is not None else 0
        return decoded

    def _loader(self, split: str, *, training: bool) -> BatchLoader:
        reader = self._reader(split)
        if training:
            base = reader
            reader = self._make_reader(base.samples, base.decoded, base.prepared, training=True)
            reader.broken = base.broken
        order = BatchSampler(
            len(reader.samples),
            self.batch_size,
            training=training,
            seed=self.seed,
            rank=self._rank,
            world_size=self._world_size,
        )
        workers = self._num_workers(reader)
        return BatchLoader(reader, order, num_workers=workers, pin_memory=self._on_gpu, split=split)

    @cached_property
    def _augment(self) -> Augment | JointAugment:
        if self.target in _READERS:
            fill = IGNORE_INDEX if self.target == "mask" else 0
            return JointAugment(self.source.augment or {}, self.source.input_transform(), mask_fill=fill)
        return Augment(self.source.augment or {}, self.source.size)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1

    @property
    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _num_workers(self, reader: BatchReader) -> int:
        if self.source.num_workers is not None:
            return self.source.num_workers
        local = self.trainer.num_devices if self.trainer is not None else 1
        return choose_num_workers(reader, cores=available_cores() // local, on_gpu=self._on_gpu)
