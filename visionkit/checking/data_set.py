"""A data set as a training would read it, with what its readers say, and the files that hold it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.file_record import RECORD, Fault
from visionkit.checking.folder_tree import FolderTree
from visionkit.checking.pixel_record import PIXELS
from visionkit.checking.twins import Twins, find_twins
from visionkit.data.findings import Finding, lenient_findings
from visionkit.data.sources.file_source import FileSource
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.checking.levels import Levels
    from visionkit.data.dataset import FileDataset, ImageDataset
    from visionkit.data.sources import DataInfo, Source

__all__ = ["SPLITS", "DataSet", "FileTable", "read_data_set"]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class FileTable:
    """Image files, in columns.

    Attributes:
        root: The folder that names are relative to.
        names: bytes (N,).
        split: int8 (N,), a position in `SPLITS`; -1 for files that no split reads.
        records: `RECORD` (N,), what was seen of each.
    """

    root: Path
    names: NDArray[Any]
    split: NDArray[Any]
    records: NDArray[Any]

    def __len__(self) -> int:
        return len(self.names)

    def paths(self) -> list[bytes]:
        """The path of each file."""
        root = os.fsencode(self.root)
        return [os.path.join(root, name) for name in self.names.tolist()]

    def places(self, rows: NDArray[Any]) -> list[str]:
        """The names of files at these rows, bool (N,) or int64 (M,), for people."""
        return [os.fsdecode(name) for name in self.names[rows].tolist()]

    def having(self, fault: Fault) -> NDArray[Any]:
        """The rows of files with one of these bits, bool (N,)."""
        has: NDArray[Any] = (self.records["faults"] & int(fault)) != 0
        return has

    @cached_property
    def is_seen(self) -> NDArray[Any]:
        """The rows of files whose header was read, bool (N,)."""
        seen: NDArray[Any] = self.records["width"] > 0
        return seen


@dataclass(frozen=True)
class DataSet:
    """A data set as a training would read it.

    Attributes:
        source: Its settings.
        target: The kind of target that is read.
        info: Its classes and sizes; None if it cannot be read.
        splits: The samples of each split; none if it cannot be read.
        saved: As `visionkit.data.sources.Splits`.
        findings: Those of its readers.
        notes: What they say beside them.
        tree: All that lies below its folder; None of a set without one.
        files: The image files of the splits, and others below the folder; empty for images in memory.
        pixels: `visionkit.checking.pixel_record.PIXELS` (N,) of the files, of a deep check.
        stride: The coarsest stride of the network, in pixels; 0 if it is not known.
        levels: Those of a detection head.
        max_detections: The most objects that it predicts.
    """

    source: Source
    target: str
    info: DataInfo | None = None
    splits: Mapping[str, ImageDataset] = field(default_factory=dict)
    saved: Mapping[str, Any] | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    tree: FolderTree | None = None
    files: FileTable = field(
        default_factory=lambda: FileTable(
            Path(), numpy.zeros(0, "S1"), numpy.zeros(0, numpy.int8), numpy.zeros(0, RECORD)
        )
    )
    pixels: NDArray[Any] | None = None
    stride: int = 0
    levels: Levels | None = None
    max_detections: int | None = None

    @property
    def root(self) -> Path | None:
        """The folder of the data set; None of a set without files."""
        root = self.source.root if isinstance(self.source, FileSource) else None
        return None if root is None else Path(root).expanduser()

    def place(self, split: str, index: int) -> str:
        """The image of a split for people: its path relative to the folder of the data set."""
        name = self.splits[split].name(index)
        return name if self.root is None else name.removeprefix(f"{self.root}/")

    @cached_property
    def class_counts(self) -> dict[str, NDArray[Any]]:
        """Images, objects or pixels of each class in each split, int64 (K,)."""
        from visionkit.data.dataset import count_classes

        if self.info is None or self.target == "mask":
            return {}
        return {split: count_classes(samples, self.info.num_classes).numpy() for split, samples in self.splits.items()}

    @cached_property
    def twins(self) -> Twins:
        """The pairs of files that show nearly the same, of those in splits."""
        rows = numpy.flatnonzero(self.files.split >= 0)
        found = find_twins(self.pixels[rows]) if self.pixels is not None else find_twins(numpy.zeros(0, PIXELS))
        return Twins(rows[found.first], rows[found.second], found.kind)

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """The class of each file, int64 (N,), -1 of those in no split; None for other targets."""
        if self.target != "label" or not len(self.files):
            return None
        labels = numpy.full(len(self.files), -1, dtype=numpy.int64)
        start = 0
        for _, names, samples in split_files(self):
            labels[start : start + len(names)] = samples.labels.numpy()
            start += len(names)
        return labels

    @cached_property
    def sizes(self) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Height and width of the images of each split, as they are and resized, int64 (n, 2), 0 where unknown."""
        original, fitted = dict[str, NDArray[Any]](), dict[str, NDArray[Any]]()
        for split, samples in self.splits.items():
            original[split] = self._sizes_of(split, samples)
            rows, inverse = numpy.unique(original[split], axis=0, return_inverse=True)
            transform = self.source.input_transform()
            resized = [transform.content_size(*row) if row[0] else (0, 0) for row in rows.tolist()]
            fitted[split] = numpy.array(resized, dtype=numpy.int64).reshape(-1, 2)[inverse.ravel()]
        return original, fitted

    def _sizes_of(self, split: str, samples: ImageDataset) -> NDArray[Any]:
        from visionkit.data.dataset import FileDataset

        if not isinstance(samples, FileDataset):
            height, width = samples.image(0).shape[-2:] if len(samples) else (0, 0)
            return numpy.tile(numpy.array([[height, width]], dtype=numpy.int64), (len(samples), 1))
        records = self.files.records[self.files.split == SPLITS.index(split)]
        sizes = numpy.stack([records["height"], records["width"]], axis=1).astype(numpy.int64)
        declared = None if samples.sizes is None else samples.sizes.numpy()
        turned = records["orientation"] >= 5
        if declared is not None:
            turned &= (declared != sizes).any(axis=1)
        sizes[turned] = sizes[turned][:, ::-1]
        return sizes


def read_data_set(source: Source, *, target: str, seed: int) -> DataSet:
    """Read annotations and lists as a training would; what would stop it is a finding.

    Args:
        source: The data set, for this target.
        target: The kind of target.
        seed: Of random splits.

    Raises:
        UserError: If there is no folder to look into, or the data set is none of files.
    """
    from visionkit.data.image_survey import survey_images

    try:
        with lenient_findings():
            splits = survey_images(source, source.splits(seed=seed), strict=False)
            info = source.info()
    except UserError as error:
        root = source.root if isinstance(source, FileSource) else None
        if root is None or not Path(root).expanduser().is_dir():
            raise
        refused = Finding.counted("data-set-refused", 1, reason=" ".join(str(error).split()))
        return DataSet(source, target, findings=(refused,))
    said = {finding.note for finding in splits.findings}
    notes = tuple(note for note in splits.notes if note not in said)
    return DataSet(source, target, info, splits.samples, splits.saved, tuple(splits.findings), notes)


def split_files(data: DataSet) -> Iterator[tuple[int, NDArray[Any], FileDataset]]:
    """Split, names and samples of the image files of each split that has some."""
    from visionkit.data.dataset import FileDataset

    for split, samples in data.splits.items():
        if isinstance(samples, FileDataset):
            yield SPLITS.index(split), samples.names, samples
