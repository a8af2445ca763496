"""Findings of ``check`` on pictures that are the same, or nearly."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["CHECKED_TWINS"]

_ACROSS = "Leave the ones of train out: fix=list writes them, for dataset.exclude=check/excluded.txt"
_MOVE = "Leave the ones of train out."
_LEAK = "What was trained on says nothing about others: the number would be too good."

CHECKED_TWINS: Mapping[str, FindingKind] = {
    "twins-across": FindingKind(
        severity="error", text="image(s) of {split} with the same picture in {other}",
        remedy=_ACROSS, otherwise=_MOVE,
        why=f"The pixels are the same, in another file. {_LEAK}",
    ),
    "near-twins-across": FindingKind(
        severity="warning", text="image(s) of {split} with nearly the same picture in {other}",
        remedy=_ACROSS, otherwise=_MOVE,
        why=f"Saved again, at another size, or the next picture of a film. {_LEAK}",
    ),
    "changed-twins-across": FindingKind(
        severity="warning", text="image(s) of {split} whose mirrored or slightly cropped picture is in {other}",
        remedy=_ACROSS, otherwise=_MOVE,
        why=f"Sets that were augmented before they were divided have such pairs. {_LEAK}",
    ),
    "twins": FindingKind(
        severity="note", text="image(s) of {split} with the same or nearly the same picture as another of it",
        remedy="Leave the copies out, if they are not meant to weigh more.",
        why="Copies weigh more in training, and in a test they make its interval too narrow.",
    ),
    "changed-twins": FindingKind(
        severity="note", text="image(s) of {split} that are another of it, mirrored or slightly cropped",
        remedy="Leave them out: visionkit augments images itself.",
        why="Sets that were augmented before are larger than what is in them.",
    ),
    "twins-two-labels": FindingKind(
        severity="warning", text="image(s) with nearly the same picture as one of another class",
        remedy="Look at the pairs: one of the labels is wrong.",
        why="No training could satisfy both.",
    ),
    "bursts-across": FindingKind(
        severity="warning", text="photo(s) of {split} taken within two seconds of one of {other}",
        remedy="Divide by what belongs together: dataset.group_by=PATTERN",
        why="A series of one scene in two splits: the number is that of scenes that were seen before.",
        otherwise="Divide by what belongs together.",
    ),
    "groups-across": FindingKind(
        severity="note", text="image(s) of {split} whose name begins as that of images of {other}, such as '{example}'",
        remedy="If what begins alike is one patient, place or film, divide by it: 'dataset.group_by={pattern}'",
        why="Images of one patient or film are alike: the number would be too good for new ones.",
        otherwise="If what begins alike is one patient, place or film, divide by it.",
    ),
}  # fmt: skip
