"""Findings of ``check`` on outlines and masks: among themselves, and beside boxes and pictures."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["CHECKED_MASKS"]

CHECKED_MASKS: Mapping[str, FindingKind] = {
    "box-differs-outline": FindingKind(
        severity="warning", text="object(s) whose box is not that of its outline",
        remedy="Look at them: box or outline belongs to another object.",
        why="A detector of instances learns the box from one and the mask from the other.",
    ),
    "area-differs": FindingKind(
        severity="note", text="object(s) whose declared area differs from that of the outline by more than a fifth",
        remedy="Leave the area out, or compute it from the outline.",
        why="COCO's metrics sort objects by the declared area into small, medium and large.",
    ),
    "outline-crossed": FindingKind(
        severity="note", text="outline(s) of those looked at that cross themselves",
        remedy="Draw them anew where the crossing is more than a slip.",
        why="Where an outline crosses itself the inside is a matter of taste, and programs fill it otherwise.",
    ),
    "mask-ignored": FindingKind(
        severity="warning", text="mask(s) of {split} without a pixel of any class",
        remedy="Look at their values: a class may be missing from the names, or the image was not annotated.",
        why="Nothing is learnt from such an image, and nothing measured.",
    ),
    "mask-one-class": FindingKind(
        severity="note", text="mask(s) of {split} of one class alone, among others of several",
        remedy="See whether they were finished.",
        why="A mask that was begun and left is all background.",
    ),
    "mask-misaligned": FindingKind(
        severity="warning", text="mask(s) whose borders do not lie on the edges of their image as those of others do",
        remedy="Look at them: the mask may be that of another image, or mirrored or shifted.",
        why="The gradient of the picture at the borders of the mask was compared with that of the whole picture.",
    ),
}  # fmt: skip
