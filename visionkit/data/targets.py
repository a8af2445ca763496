"""The kinds of target that a data set can give and a task can need, each in one row; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["TARGETS", "Target", "plural"]


@dataclass(frozen=True)
class Target:
    """A kind of target.

    Attributes:
        plural: What a data set gives, in messages.
        reader: The reader of its batches, a `visionkit.data.collate.padded.PaddedBatchReader` as ``"module:Class"``;
            None for a number per image, which `visionkit.data.collate.base.BatchReader` reads.
        mask_fill: The value of masks where augmentation moves the image's edge inwards.
    """

    plural: str
    reader: str | None = None
    mask_fill: int = 0


_COLLATE = "visionkit.data.collate"

TARGETS: dict[str, Target] = {
    "label": Target("labels"),
    "boxes": Target("boxes", f"{_COLLATE}.detection:DetectionBatchReader"),
    "instances": Target("instances", f"{_COLLATE}.detection:InstanceBatchReader"),
    "mask": Target("masks", f"{_COLLATE}.segmentation:SegmentationBatchReader", mask_fill=IGNORE_INDEX),
}


def plural(target: str) -> str:
    """The plural of a target's name; of a kind that has no row, the name itself."""
    return TARGETS[target].plural if target in TARGETS else target
