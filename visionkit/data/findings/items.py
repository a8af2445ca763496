"""Findings on the items of a data set that is a Python object."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["ITEMS"]

ITEMS: Mapping[str, FindingKind] = {
    "item-failed": FindingKind(
        severity="warning", text="item(s) of {split} that cannot be read dropped",
        remedy="Mend the data set, or leave these items out of it: torch.utils.data.Subset(dataset, indices).",
        why="The data set raised an error for the item, or gave an image that is none.",
    ),
    "item-replaced": FindingKind(
        severity="warning", text="item(s) of {split} that could be read no more replaced by the next readable one",
        remedy="Mend the data set, so that an item can be read whenever it is asked for.",
        why="The data set gave the item before training and raised an error for it later; batches stay full.",
    ),
    "item-mask-values": FindingKind(
        severity="warning", text="mask(s) of {split} with values outside the classes ignored there",
        remedy="Name a class for each value, or say which value is ignored: dataset.ignore=255",
        why="Such pixels are neither trained on nor counted. A whole class may hide behind a value that has no name.",
        otherwise="Name a class for each value.",
    ),
    "item-mask-empty": FindingKind(
        severity="warning", text="object(s) without a pixel in their mask dropped",
        remedy=MEND,
        why="An object whose mask is empty cannot be learnt: often a crop of the data set's own removed it.",
    ),
    "labels-from-one": FindingKind(
        severity="note", text="class(es) of background left out; labels of objects are counted from 1 behind it",
        remedy="Nothing.",
        why="torchvision's detectors call class 0 the background; here classes are those of objects.",
    ),
    "class-names-counted": FindingKind(
        severity="note", text="class(es) named by their number, for the data set has no attribute `classes`",
        remedy='Give the names: vk.train(dataset={{"train": dataset, "class_names": ["cat", "dog"]}})',
        why="A data set says by the attribute `classes` what its classes are called, as those of torchvision do.",
    ),
}  # fmt: skip
