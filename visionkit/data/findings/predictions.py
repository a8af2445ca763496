"""Findings on images that are predicted on, and on what is found in them."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["PREDICTIONS"]

PREDICTIONS: Mapping[str, FindingKind] = {
    "image-converted": FindingKind(
        severity="note", text="image(s) {kind} converted to the {channels} of this run",
        remedy="Nothing, if the images that were trained on were converted likewise.",
        why="A model predicts on images like those that it was trained on. Colours of a grey picture, what lies behind "
        "transparent pixels (white) and the colours of CMYK inks are made up.",
    ),
    "image-depth": FindingKind(
        severity="warning", text="image(s) of 8 bits predicted by a run that was trained on {low} to {high}: read as 0 "
        "to 255",
        remedy="Save them as those of the training.",
        why="Images of one scene in two depths are unlike each other, and the model has seen one of them.",
    ),
    "suppression-cut": FindingKind(
        severity="warning", text="image(s) with so many overlapping boxes that the exported file has not come to the "
        "end of choosing among them",
        remedy="For these, predict with the run itself: run=FOLDER",
        why="A file repeats the choice between overlapping boxes a fixed number of times, see "
        "[Detectors](../export.md#detectors). Boxes of such an image may differ from those of the run.",
    ),
    "objects-cut": FindingKind(
        severity="note", text="image(s) with {limit} objects, the most that are kept of one: others of lower scores "
        "are cut",
        remedy="Keep more: max_detections={more}; an exported file gives as many as its run did, so export the run "
        "anew with more.",
        why="The number is that of the run's head (`head.max_detections`), for whole images and for those that are "
        "looked at by windows alike. It is said where the last object that is kept would still be drawn.",
    ),
}  # fmt: skip
