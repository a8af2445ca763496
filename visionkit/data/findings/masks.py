"""Findings on masks."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["MASKS"]

MASKS: Mapping[str, FindingKind] = {
    "mask-missing": FindingKind(
        "warning", "image(s) without a mask dropped", "Add the masks, or remove the images.",
        "The mask was not exported, or has another name; see dataset.mask_suffix.",
    ),
    "mask-orphan": FindingKind(
        "warning", "mask(s) for a missing image dropped", "Add the images, or remove the masks.",
        "The image was deleted, renamed or not copied.",
    ),
    "mask-unreadable": FindingKind(
        "warning", "mask(s) or image(s) that cannot be read dropped", MEND, "A file cut short or no image at all.",
    ),
    "mask-size": FindingKind(
        "warning", "mask(s) of another size than their image dropped", "Export both at one size.",
        "One of them was resized. Stretching a mask would move the edges of objects.",
    ),
    "mask-coloured": FindingKind(
        "warning", "RGB mask(s) where ids are expected dropped",
        "Say what each colour means: 'dataset.class_map={{0\\,0\\,0: background, 128\\,0\\,0: thing}}'",
        "The masks are pictures of classes in colours, not of their numbers.",
        "Replace them by masks of ids, as the data set has them.",
    ),
    "mask-indexed": FindingKind(
        "warning", "index mask(s) where colours are expected dropped",
        "Say what each id means: 'dataset.class_map={{0: background, 1: thing}}'",
        "The class map names colours, but these masks hold numbers.",
        "Replace them by masks of colours, as the data set has them.",
    ),
    "mask-outside-classes": FindingKind(
        "warning", "mask(s) with values outside the classes ignored there",
        "Name the values: 'dataset.class_map={{VALUE: NAME}}', or null to ignore them; ids also by dataset.ignore=ID",
        "Such pixels are neither trained on nor counted. A whole class may hide behind a value that nobody named.",
        "Replace them by those of the data set. Masks of other classes: dataset=masks",
    ),
    "mask-stray-values": FindingKind(
        "warning", "mask(s) with stray values near {low} and {high}, read as the nearer one",
        "Save masks as PNG, without smoothing.",
        "A smoothed edge, JPEG, or a single wrong pixel: grey levels between black and white are no classes.",
    ),
    "mask-lossy": FindingKind(
        "warning", "mask(s) saved as JPEG, which changes values: pixels may have another class, or none",
        "Save masks as PNG.",
        "JPEG changes values at edges, and by small steps everywhere: of ids that lie close together none is sure.",
    ),
    "mask-palettes-differ": FindingKind(
        "error", "mask(s) whose palette draws an id in another colour than other masks do",
        "Say classes by colour: 'dataset.class_map={colours}'. If the ids are right whatever their colours, say so "
        "by id: 'dataset.class_map={{0: background, 1: NAME}}'",
        "Some tools number the colours of each picture anew: read by id, classes would be swapped from file to file.",
        otherwise="Save masks with one palette.",
    ),
    "mask-palettes-by-id": FindingKind(
        "warning", "mask(s) whose palette draws an id in another colour than other masks do, read by the ids",
        "Save masks with one palette.",
        "Some tools number the colours of each picture anew: then classes are swapped from file to file.",
    ),
    "mask-void-class": FindingKind(
        "note", "training mask(s) with pixels of 255, read as a class", "If it is void, say so: dataset.ignore=255",
        "In many data sets 255 marks the pixels that nobody labelled; in others it is white, a class like any other.",
        "If it is void, name the classes as the data set does.",
    ),
    "mask-objects-unfit": FindingKind(
        "warning", "mask(s) of objects that do not fit dropped", MEND,
        "The mask of objects has another size than the mask of classes, or cannot be read.",
    ),
    "mask-objects-missing": FindingKind(
        "warning", "image(s) without a mask of objects dropped", "Add the masks in SegmentationObject/.",
        "task=instance needs to know which pixels belong to one object.",
    ),
    "object-unclassed": FindingKind(
        "warning", "object(s) without a class dropped", MEND,
        "The pixels of the object have no class, or several, in the mask of classes.",
    ),
    "test-unlabelled": FindingKind(
        "note", "image(s) of test left out, whose masks are not public", "Report the numbers of val.",
        "Benchmarks keep the answers of their test split; files published in their place are void everywhere.",
    ),
    "test-no-masks": FindingKind(
        "note", "folder(s) of test images without masks, or of masks without images, left out",
        "Add what is missing, if there is to be a test split.",
        "Benchmarks and competitions publish test images alone.",
    ),
    "class-names-missing": FindingKind(
        "note", "class(es) named by their number, for {file} is missing", "Put it beside the folder of the images.",
        "Names come with the original archive; copies often lack the file.",
    ),
    "class-absent": FindingKind(
        "note", "class(es) without a pixel in any training mask", "Leave them out, or add images that show them.",
        "What is not in training cannot be learnt, and its score is 0 or missing.",
    ),
    "class-untrained": FindingKind(
        "note", "class(es) that no training image has", "Leave them out, or add images that have them.",
        "What is not in training cannot be learnt, and its score is 0 or missing.",
    ),
}  # fmt: skip
