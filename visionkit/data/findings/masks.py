"""Findings on masks."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["MASKS"]

MASKS: Mapping[str, FindingKind] = {
    "mask-missing": FindingKind(
        severity="warning", text="image(s) without a mask dropped",
        remedy="Add the masks, or remove the images.",
        why="The mask was not exported, or has another name; see dataset.mask_suffix.",
    ),
    "mask-orphan": FindingKind(
        severity="warning", text="mask(s) for a missing image dropped",
        remedy="Add the images, or remove the masks.",
        why="The image was deleted, renamed or not copied.",
    ),
    "mask-unreadable": FindingKind(
        severity="warning", text="mask(s) or image(s) that cannot be read dropped",
        remedy=MEND,
        why="A file cut short or no image at all.",
    ),
    "mask-size": FindingKind(
        severity="warning", text="mask(s) of another size than their image dropped",
        remedy="Export both at one size.",
        why="One of them was resized. Stretching a mask would move the edges of objects.",
    ),
    "mask-coloured": FindingKind(
        severity="warning", text="RGB mask(s) where ids are expected dropped",
        remedy="Say what each colour means: 'dataset.class_map={{0\\,0\\,0: background, 128\\,0\\,0: thing}}'",
        why="The masks are pictures of classes in colours, not of their numbers.",
        otherwise="Replace them by masks of ids, as the data set has them.",
    ),
    "mask-indexed": FindingKind(
        severity="warning", text="index mask(s) where colours are expected dropped",
        remedy="Say what each id means: 'dataset.class_map={{0: background, 1: thing}}'",
        why="The class map names colours, but these masks hold numbers.",
        otherwise="Replace them by masks of colours, as the data set has them.",
    ),
    "mask-outside-classes": FindingKind(
        severity="warning", text="mask(s) with values outside the classes ignored there",
        remedy="Name the values: 'dataset.class_map={{VALUE: NAME}}', or null to ignore them; ids also by "
        "dataset.ignore=ID",
        why="Such pixels are neither trained on nor counted. A whole class may hide behind a value that nobody named.",
        otherwise="Replace them by those of the data set. Masks of other classes: dataset=masks",
    ),
    "mask-stray-values": FindingKind(
        severity="warning", text="mask(s) with stray values near {low} and {high}, read as the nearer one",
        remedy="Save masks as PNG, without smoothing.",
        why="A smoothed edge, JPEG, or a single wrong pixel: grey levels between black and white are no classes.",
    ),
    "mask-lossy": FindingKind(
        severity="warning", text="mask(s) saved as JPEG, which changes values: pixels may have another class, or none",
        remedy="Save masks as PNG.",
        why="JPEG changes values at edges, and by small steps everywhere: of ids that lie close together none is sure.",
    ),
    "mask-palettes-differ": FindingKind(
        severity="error", text="mask(s) whose palette draws an id in another colour than other masks do",
        remedy="Say classes by colour: 'dataset.class_map={colours}'. If the ids are right whatever their colours, say "
        "so by id: 'dataset.class_map={{0: background, 1: NAME}}'",
        why="Some tools number the colours of each picture anew: read by id, classes would be swapped from file to "
        "file.",
        otherwise="Save masks with one palette.",
    ),
    "mask-palettes-by-id": FindingKind(
        severity="warning",
        text="mask(s) whose palette draws an id in another colour than other masks do, read by the ids",
        remedy="Save masks with one palette.",
        why="Some tools number the colours of each picture anew: then classes are swapped from file to file.",
    ),
    "mask-void-class": FindingKind(
        severity="note", text="training mask(s) with pixels of 255, read as a class",
        remedy="If it is void, say so: dataset.ignore=255",
        why="In many data sets 255 marks the pixels that nobody labelled; in others it is white, a class like any "
        "other.",
        otherwise="If it is void, name the classes as the data set does.",
    ),
    "mask-objects-unfit": FindingKind(
        severity="warning", text="mask(s) of objects that do not fit dropped",
        remedy=MEND,
        why="The mask of objects has another size than the mask of classes, or cannot be read.",
    ),
    "mask-objects-missing": FindingKind(
        severity="warning", text="image(s) without a mask of objects dropped",
        remedy="Add the masks in SegmentationObject/.",
        why="task=instance needs to know which pixels belong to one object.",
    ),
    "object-unclassed": FindingKind(
        severity="warning", text="object(s) without a class dropped",
        remedy=MEND,
        why="The pixels of the object have no class, or several, in the mask of classes.",
    ),
    "test-unlabelled": FindingKind(
        severity="note", text="image(s) of test left out, whose masks are not public",
        remedy="Report the numbers of val.",
        why="Benchmarks keep the answers of their test split; files published in their place are void everywhere.",
    ),
    "test-no-masks": FindingKind(
        severity="note", text="folder(s) of test images without masks, or of masks without images, left out",
        remedy="Add what is missing, if there is to be a test split.",
        why="Benchmarks and competitions publish test images alone.",
    ),
    "class-names-missing": FindingKind(
        severity="note", text="class(es) named by their number, for {file} is missing",
        remedy="Put it beside the folder of the images.",
        why="Names come with the original archive; copies often lack the file.",
    ),
    "class-names-found": FindingKind(
        severity="note", text="class(es) named as in {file}",
        remedy="Nothing. For other names: dataset.classes=[background, ...]",
        why="nnU-Net writes the names of its labels into a file beside the images.",
        otherwise="Nothing.",
    ),
    "class-names-unfit": FindingKind(
        severity="warning", text="file(s) with names of classes, {file}, not used: {reason}",
        remedy="Correct it, or give the names: dataset.classes=[background, ...]",
        why="A name for another id would call one class by the name of another; regions of several labels in one are "
        "no classes that exclude each other.",
        otherwise="Correct it.",
    ),
    "class-absent": FindingKind(
        severity="note", text="class(es) without a pixel in any training mask",
        remedy="Leave them out, or add images that show them.",
        why="What is not in training cannot be learnt, and its score is 0 or missing.",
    ),
    "class-untrained": FindingKind(
        severity="note", text="class(es) that no training image has",
        remedy="Leave them out, or add images that have them.",
        why="What is not in training cannot be learnt, and its score is 0 or missing.",
    ),
}  # fmt: skip
