"""Findings of ``check`` on boxes: how they lie in images, over each other, and on the levels of the head."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["CHECKED_BOXES"]

CHECKED_BOXES: Mapping[str, FindingKind] = {
    "boxes-alike": FindingKind(
        severity="warning", text="object(s) whose box is nearly that of another object of the class",
        remedy="Remove one of each pair.",
        why="Two people marked the object, or a file was merged twice. Suppression keeps one box of both, and the "
        "other counts as missed.",
    ),
    "boxes-two-classes": FindingKind(
        severity="warning", text="object(s) whose box is nearly that of an object of another class",
        remedy="Look at the pairs: one of the classes is wrong, unless objects may be of both.",
        why="A detector gives one of the classes the higher score, and the other object counts as missed.",
    ),
    "box-whole-image": FindingKind(
        severity="note", text="object(s) whose box is the whole image",
        remedy="See whether they were meant: tools write such boxes where nothing was drawn.",
        why="A picture that shows one object whole is classified, not searched.",
    ),
    "boxes-out-often": FindingKind(
        severity="error", text="% of the boxes reach out of their images or lie outside: {places} of {all}",
        remedy="See whether x and y, or width and height, are swapped, or the sizes are those of other images.",
        why="A few are slips of the hand; so many mean that the numbers are read otherwise than they were written.",
    ),
    "object-tiny": FindingKind(
        severity="warning", text="object(s) with a side of less than two pixels at dataset.image_size={size}",
        remedy="Take a larger dataset.image_size, or cut images into parts.",
        why="Resized to the size of training nothing is left of them to be seen, and each counts as missed.",
        otherwise="Take larger images, or cut them into parts.",
    ),
    "objects-unmatched": FindingKind(
        severity="warning", text="% of the objects of train that no level of the head can take: {number} of {all}, of "
        "sides {low} to {high} pixels at dataset.image_size={size}",
        remedy="Take a larger dataset.image_size, or a finer level: head.neck.finest_stride={stride}",
        why="A detector teaches each object to the points or anchors that fit it. These have none: they are never "
        "learnt, and count as missed.",
        otherwise="Take larger images, or a finer level: head.neck.finest_stride={stride}",
    ),
    "count-odd": FindingKind(
        severity="note", text="image(s) with many more objects than the others",
        remedy="Look at them: a file may have been merged twice.",
        why="Their number lies more than ten typical deviations above that of the set.",
    ),
    "objects-over-limit": FindingKind(
        severity="warning", text="image(s) with more objects than the head predicts at most, {limit}",
        remedy="Predict more: head.max_detections={most}",
        why="What is beyond the limit counts as missed, however good the detector is.",
    ),
    "images-background": FindingKind(
        severity="note", text="% of the area of train's images lies in no box",
        remedy="Nothing: it says how rare objects are.",
        why="Where objects cover little, most of what a detector sees is background, which focal losses are made for.",
    ),
}  # fmt: skip
