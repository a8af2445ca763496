"""The Lightning DataModule: a source's splits, decoded once where they fit, as batches of uint8 images.

A batch for classification is ``{"images": uint8 (B, C, H, W), "label": int64 (B,), "index": int64 (B,)}``; for batches
with boxes or instances see `visionkit.data.collate.detection`, with class masks `visionkit.data.collate.segmentation`.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch import Tensor

from visionkit.data.augment.image import Augment
from visionkit.data.augment.joint import JointAugment
from visionkit.data.augment.preset_choice import ChosenAugments
from visionkit.data.cache import ImageCache, decode_originals, decode_prepared
from visionkit.data.collate.base import BatchReader
from visionkit.data.dataset import FileDataset, ImageDataset, count_classes
from visionkit.data.findings import Finding
from visionkit.data.late_findings import late_findings
from visionkit.data.loader import BatchLoader
from visionkit.data.sampler import BatchSampler
from visionkit.data.shared_cache import SharedCache
from visionkit.data.sources import DataInfo, Source, Splits
from visionkit.data.splitting import read_splits
from visionkit.data.workers import plan_workers
from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.text import json_text

__all__ = ["VisionDataModule"]

_STAGES = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": (),
    None: ("train", "val", "test"),
}


class VisionDataModule(LightningDataModule):
    """Batches of a data source for training, validation and test; the splits are disjoint.

    Args:
        source: The data set.
        target: The kind of target, one of ``source.targets``; for labels also their key in a batch.
        batch_reader: Makes batches of samples with this kind of target.
        batch_size: The global batch size, divided equally over the processes.
        seed: The seed of shuffling, augmentation and random splits without a seed of their own.
        strict: Whether invalid or unreadable data are an error instead of a note.
        splits_file: The JSON file of random splits: read if it exists, else written.
        shared: Splits and images read by earlier runs in this process; None starts with an empty cache.
        max_decoded: The images of the largest split that is decoded before training; None for any that fits.
        epochs: The number of epochs of the run, in the last of which images are not joined; None if unknown.

    Attributes:
        notes: Messages for the user on what was held out, dropped or is missing.

    Raises:
        UserError: If the source does not provide the target, or it cannot be drawn by class as ``balance`` says.
    """

    def __init__(
        self,
        source: Source,
        *,
        target: str = "label",
        batch_reader: type[BatchReader] = BatchReader,
        batch_size: int,
        seed: int,
        strict: bool = False,
        splits_file: Path | None = None,
        shared: SharedCache | None = None,
        max_decoded: int | None = None,
        epochs: int | None = None,
    ) -> None:
        super().__init__()
        source = source.for_target(target)
        if target not in source.targets:
            raise UserError(f"dataset '{source.name}' gives {', '.join(sorted(source.targets))}, not '{target}'.")
        source.check_balance(target)
        self.source, self.target, self.batch_reader, self.strict = source, target, batch_reader, strict
        self.batch_size, self.seed, self.max_decoded, self.epochs = batch_size, seed, max_decoded, epochs
        self.splits_file = Path(splits_file) if splits_file is not None else None
        self.shared = shared if shared is not None else SharedCache()
        self._splits: Splits | None = None
        self._readers: dict[str, BatchReader] = {}
        self._dropped: dict[str, list[tuple[str, str]]] = {}
        self._used_bytes = 0
        self._is_training = False
        self._worker_notes: dict[str, None] = {}

    @cached_property
    def info(self) -> DataInfo:
        """Names, sizes and normalisation of the data set."""
        return self.source.info()

    @property
    def sizes(self) -> dict[str, int]:
        """The number of samples of each split; without ``"test"`` if there is no test split."""
        return {split: len(self.dataset(split)) for split in self._load_splits().samples}

    @property
    def value_range(self) -> tuple[float, float] | None:
        """See `Splits.value_range`."""
        return self._load_splits().value_range

    @property
    def has_generated_splits(self) -> bool:
        """Whether the splits are random, so that only a saved file reproduces them."""
        return self._load_splits().saved is not None

    @property
    def notes(self) -> list[str]:
        """Messages for the user on what was held out, dropped or is missing."""
        splits = self._load_splits()
        missing = [] if "test" in splits.samples else ["no test split: validation numbers are reported"]
        chosen, late = [self._chosen.note] if self._chosen.note else [], (f.note for f in self._late_findings())
        return [*splits.notes, *missing, *chosen, *late, *self._worker_notes]

    @property
    def findings(self) -> list[Finding]:
        """What was found in the files so far."""
        return [*self._load_splits().findings, *self._late_findings()]

    def _late_findings(self) -> list[Finding]:
        splits = list(self._load_splits().samples)
        return late_findings(splits, self._dropped, self._readers, is_training=self._is_training)

    def prepare_data(self) -> None:
        """Download missing files where the source allows it; called once per machine.

        Raises:
            UserError: If the download fails.
        """
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Make the splits, decode the images if they fit into memory, then save random splits.

        Args:
            stage: ``"fit"``, ``"validate"``, ``"test"``, or None for all.

        Raises:
            UserError: If the data are missing, invalid or too few.
        """
        splits = self._load_splits()
        for split in _STAGES.get(stage, ()):
            if split in splits.samples:
                self._reader(split)
        if splits.saved is not None and self.splits_file and not self.splits_file.exists() and self._rank == 0:
            write_atomic(self.splits_file, json_text(splits.saved, indent=0))

    def dataset(self, split: str) -> ImageDataset:
        """The samples of a split, before any preprocessing.

        Raises:
            UserError: If there is no such split.
        """
        datasets = self._load_splits().samples
        if split not in datasets:
            raise UserError(
                f"dataset '{self.source.name}' has no split '{split}'. Known splits: {', '.join(datasets)}. "
                "Try: split=val"
            )
        return self._readers[split].samples if split in self._readers else datasets[split]

    def class_counts(self) -> Tensor:
        """The training images, objects or pixels of each class, whichever are labelled, int64 (num_classes,)."""
        return count_classes(self.dataset("train"), self.info.num_classes)

    def train_dataloader(self) -> BatchLoader:
        """Batches of the training split, shuffled and augmented."""
        return self._loader("train", training=True)

    def val_dataloader(self) -> BatchLoader:
        """Batches of the validation split, in order."""
        return self._loader("val", training=False)

    def test_dataloader(self) -> BatchLoader:
        """Batches of the test split, in order; a `UserError` if there is none."""
        return self._loader("test", training=False)

    def loader(self, split: str) -> BatchLoader:
        """Batches of any split, in order and without augmentation.

        Raises:
            UserError: If there is no such split.
        """
        return self._loader(split, training=False)

    def _load_splits(self) -> Splits:
        if self._splits is None:
            if self.trainer is None:
                self.prepare_data()
            saved = read_splits(self.splits_file) if self.splits_file and self.splits_file.exists() else None
            self._splits = self.shared.splits(self.source, seed=self.seed, saved=saved, strict=self.strict)
        return self._splits

    def _reader(self, split: str) -> BatchReader:
        """The evaluation reader of a split, whose cached images the training reader uses too."""
        if split not in self._readers:
            samples = self.dataset(split)
            cache, prepared = None, False
            if isinstance(samples, FileDataset):
                prepared = split != "train" or not self._augment.wants_original
                cache = self._decode(samples, split, prepared=prepared)
                if cache is not None and cache.problems:
                    self._dropped[split] = [(error.code, samples.name(i)) for i, error in cache.problems.items()]
                    if not len(cache.keep):
                        raise UserError(
                            f"none of the {len(samples)} images of the {split} split can be read: "
                            f"{next(iter(cache.problems.values()))}"
                        )
                    samples = samples.select(cache.keep)
            self._readers[split] = self._make_reader(samples, cache, prepared)
        return self._readers[split]

    def _make_reader(
        self, samples: ImageDataset, cache: ImageCache | None, prepared: bool, *, training: bool = False
    ) -> BatchReader:
        transform, augment = self.source.input_transform(), self._augment if training else None
        return self.batch_reader(
            samples, transform, augment=augment, cache=cache, prepared=prepared, target=self.target,
            strict=self.strict, training=training,
        )  # fmt: skip

    def _decode(self, samples: FileDataset, split: str, *, prepared: bool) -> ImageCache | None:
        if self.max_decoded is not None and len(samples) > self.max_decoded:
            return None
        budget, transform = self.source.cache_mb * 2**20 - self._used_bytes, self.source.input_transform()

        def decode() -> ImageCache | None:
            if not prepared or self.batch_reader.pads:
                fit = transform if prepared else None
                return decode_originals(samples, budget=budget, strict=self.strict, fit=fit)
            return decode_prepared(samples, transform, budget=budget, strict=self.strict)

        fixed_bytes = len(samples) * samples.in_channels * prod(self.source.size) * samples.dtype.itemsize
        has_fixed_size = prepared and transform.mode != "resize_pad"
        cache = self.shared.image_cache(
            self.source, saved=self._load_splits().saved, split=split, prepared=prepared, strict=self.strict,
            max_bytes=min(fixed_bytes, budget) if has_fixed_size else budget, decode=decode,
        )  # fmt: skip
        self._used_bytes += cache.nbytes if cache is not None else 0
        return cache

    def _loader(self, split: str, *, training: bool) -> BatchLoader:
        reader = self._reader(split)
        if training:
            self._is_training = True
            base = reader
            reader = self._make_reader(base.samples, base.cache, base.prepared, training=True)
            reader.unreadable = base.unreadable
        elif reader.cache is not None and not reader.prepared:
            reader = self._make_reader(reader.samples, None, prepared=False)
        sampler = BatchSampler(
            len(reader.samples), self.batch_size, training=training, seed=self.seed, rank=self._rank,
            world_size=self._world_size, balance=reader.samples.labels if training and self.source.balance else None,
            epochs=self.epochs,
        )  # fmt: skip
        num_workers = self._num_workers(reader, sampler)
        return BatchLoader(reader, sampler, num_workers=num_workers, pin_memory=self._on_gpu, split=split)

    @cached_property
    def _augment(self) -> Augment | JointAugment:
        return self.batch_reader.make_augment(self._chosen.augments, self.source.input_transform())

    @cached_property
    def _chosen(self) -> ChosenAugments:
        return self.source.choose_augments(self.target, num_images=len(self._load_splits().samples.get("train", ())))

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1

    @property
    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _num_workers(self, reader: BatchReader, sampler: BatchSampler) -> int:
        processes, wanted = self.trainer.num_devices if self.trainer is not None else 1, self.source.num_workers
        planned = plan_workers(reader, sampler, wanted=wanted, processes=processes, on_gpu=self._on_gpu)
        self._worker_notes |= dict.fromkeys(planned.notes)
        return planned.count
