"""Findings of ``check`` on classes, their names, and how they are spread over the splits."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["CHECKED_CLASSES"]

CHECKED_CLASSES: Mapping[str, FindingKind] = {
    "class-only-elsewhere": FindingKind(
        severity="warning", text="class(es) of {split} that train does not have",
        remedy="Add images of them to train, or remove the class.",
        why="What is not in train cannot be learnt; each of them counts as wrong.",
    ),
    "class-only-in-train": FindingKind(
        severity="note", text="class(es) of train that {split} does not have",
        remedy="Add images of them, or expect no number for them.",
        why="What is not in a split is not measured there.",
    ),
    "class-unused": FindingKind(
        severity="warning", text="declared class(es) of which there is nothing in any split",
        remedy="Remove them from the names, or see whether their annotations are missing.",
        why="The network has an output for them that nothing teaches; often ids are shifted, so that the last name is "
        "never used.",
    ),
    "class-rare": FindingKind(
        severity="note", text="class(es) of fewer than {fewest} {things} in train",
        remedy="Add some, draw classes alike with dataset.balance=true, or join classes.",
        why="A class of a handful is hardly learnt, and its own numbers mean little.",
        otherwise="Add some, or join classes.",
    ),
    "classes-unequal": FindingKind(
        severity="note", text="times as many {things} of class {most} in train as of class {least}",
        remedy="Read the metrics of each class; dataset.balance=true draws classes alike.",
        why="An accuracy over all images is mostly that of the largest class.",
        otherwise="Read the metrics of each class.",
    ),
    "split-shift": FindingKind(
        severity="warning", text="class(es) whose share of {split} differs from that of train by more than chance",
        remedy="Divide at random, or know why the splits differ.",
        why="The share was compared by a chi-squared test with the correction of Bonferroni; a number on a split of "
        "another mixture is one of that mixture.",
    ),
    "split-small": FindingKind(
        severity="note", text="image(s) of {split}, whose metric is known to {points} points only",
        remedy="Hold out more images; of a set without a val of its own take folds: train -m dataset.fold=0,1,2,3,4",
        why="Half the 95 % interval that a metric of so many images may have is wider than five points: two runs that "
        "differ by less cannot be told apart.",
        otherwise="Hold out more images.",
    ),
    "label-suspect": FindingKind(
        severity="note", text="label(s) of train that networks doubt which have not seen them",
        remedy="Look at them, the first ones first, and correct those that are wrong.",
        why="Five networks were each trained on four fifths of train, and judged the rest. Labels that they are sure "
        "are others are often wrong (confident learning, Northcutt et al. 2021, arXiv:1911.00068); pictures of a rare "
        "kind are among them too.",
    ),
    "images-empty": FindingKind(
        severity="note", text="% of the images of {split} show no object",
        remedy="Nothing, if nothing is in them. Else see whether their annotations are missing.",
        why="Images without objects teach what background is; a large share may be a folder of labels that is not "
        "found.",
    ),
}  # fmt: skip
