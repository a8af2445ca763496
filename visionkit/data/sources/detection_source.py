"""The base class of data sets with annotated objects, for detection, instance and semantic segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.data.augment.parsing import check_targets
from visionkit.data.findings import Finding
from visionkit.data.sources.base import DataInfo, Source
from visionkit.data.sources.class_names import doubtful_classes
from visionkit.data.sources.split_files import SplitFiles
from visionkit.errors import UserError
from visionkit.structures.class_ids import BACKGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visionkit.data.dataset import FileDataset
    from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset

__all__ = ["DetectionSource"]


@dataclass(frozen=True, kw_only=True)
class DetectionSource(SplitFiles):
    """Image files, and annotation files with objects.

    Attributes:
        target: The kind of target, set by `for_target`: ``boxes``; ``instances``, boxes and masks of objects;
            ``mask``, class masks, in which class 0 is the background.
    """

    target: str = field(default="boxes", init=False)

    targets: ClassVar[frozenset[str]] = frozenset({"boxes", "instances", "mask"})

    def for_target(self, target: str) -> Source:
        if target == self.target or target not in self.targets:
            return self
        check_targets(self.augment, where="dataset.augment", targets=(target,))
        source = replace(self)
        object.__setattr__(source, "target", target)
        return source

    def info(self) -> DataInfo:
        if self.target != "mask":
            return super().info()
        names, category_ids = self._parsed.class_names, self._parsed.category_ids
        return self.describe(
            (BACKGROUND, *names),
            in_channels=self.in_channels,
            category_ids=None if category_ids is None else (0, *category_ids),
        )

    def limit(self, parsed: ParsedDataset[Any]) -> ParsedDataset[Any]:
        from visionkit.data.sources.box_doubts import doubt_fractions
        from visionkit.data.sources.object_limits import limit_masks, limit_objects

        return doubt_fractions(limit_masks(limit_objects(parsed)))

    def check_annotations(self, parsed: ParsedDataset[Any]) -> None:
        """Check that the data set has annotated objects.

        Raises:
            UserError: If there are none.
        """
        if any(len(images.annotations.objects) for images in parsed.splits.values()):
            return
        details = "".join(f" {finding.note}." for finding in parsed.findings)
        expected = "boxes" if self.target == "boxes" else "outlines"
        raise UserError(
            f"dataset '{self.name}': no annotation at all: no object is marked in any of the "
            f"{sum(map(len, parsed.splits.values()))} images of '{self.root}'.{details} Expected {expected} in some."
        )

    def check_splits(self, splits: Mapping[str, AnnotatedImages], *, remedy: str) -> list[str]:
        """Check that train and val have objects: else nothing is learnt, and no epoch is better than another.

        Returns:
            A note if test has none.

        Raises:
            UserError: If train or val has no objects other than crowds.
        """
        for split in ("train", "val"):
            if splits[split].annotations.objects.crowd.all():
                raise UserError(
                    f"dataset '{self.name}': no object is marked in any of the {len(splits[split])} images of {split} "
                    f"in '{self.root}'. Expected boxes in some of train and of val. {remedy}"
                )
        if "test" in splits and splits["test"].annotations.objects.crowd.all():
            return ["no object is marked in test: its images are all background, and no precision can be told"]
        return []

    def class_findings(self, parsed: ParsedDataset[Any], splits: Mapping[str, AnnotatedImages]) -> list[Finding]:
        import numpy

        objects = splits["train"].annotations.objects
        trained = set(numpy.unique(objects.labels[~objects.crowd]).tolist())
        untrained = [name for number, name in enumerate(parsed.class_names) if number not in trained]
        is_said = any(finding.code == "class-absent" for finding in parsed.findings)  # of sets whose objects are masks
        return [
            *doubtful_classes(parsed.class_names),
            *Finding.of("class-untrained", [] if is_said else untrained),
        ]

    def make_dataset(self, parsed: ParsedDataset[Any], images: AnnotatedImages) -> FileDataset:
        import numpy
        import torch

        from visionkit.data.annotations import Annotations, Objects
        from visionkit.data.class_masks import RasterizedMasks
        from visionkit.data.dataset import FileDataset

        annotations, sizes = images.annotations, images.sizes
        objects, segmentations = annotations.objects, annotations.objects.segmentations
        if images.relative or (segmentations is not None and not sizes.all()):
            file_sizes = _read_sizes(FileDataset(parsed.root, images.names, in_channels=self.in_channels))
            sizes = numpy.where(sizes > 0, sizes, file_sizes)
        if images.relative:
            factors = numpy.repeat(sizes[:, ::-1], annotations.counts, axis=0)
            scaled = None if segmentations is None else segmentations.scaled(factors)
            boxes = objects.boxes * numpy.tile(factors, 2)
            objects = Objects.from_columns(boxes, objects.labels, crowd=objects.crowd, segmentations=scaled)
            annotations = Annotations(annotations.starts, objects)
        as_class_masks = self.target == "mask"
        return FileDataset(
            parsed.root,
            images.names,
            in_channels=self.in_channels,
            annotations=None if as_class_masks else annotations,
            sizes=torch.from_numpy(images.sizes) if images.sizes.any() else None,
            masks=RasterizedMasks(annotations, torch.from_numpy(sizes)) if as_class_masks else None,
        )


def _read_sizes(samples: FileDataset) -> NDArray[Any]:
    """Height and width of each file from its header, int64 (N, 2), in pixels; 1 and 1 for unreadable files."""
    from visionkit.data.cache import read_sizes

    return read_sizes(samples, range(len(samples)), strict=False)[0].clip(min=1)
