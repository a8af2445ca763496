"""The catalogue of what readers of data sets drop, repair or doubt, by code; ``docs/findings/`` has a page for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["CATALOGUE", "FindingKind", "Severity"]

Severity = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class FindingKind:
    """A kind of problem.

    Attributes:
        severity: A ``note`` is said, a ``warning`` is said and is an error under ``strict=true``, an ``error`` stops a
            run before its first epoch.
        text: What was found and what was done about it, behind a count; what stands in braces is filled in.
        remedy: What the user can do, in a sentence.
        why: How data come to have it and what it would do to a result, for the documentation.
    """

    severity: Severity
    text: str
    remedy: str
    why: str


_MEND = "Mend or remove it."


CATALOGUE: Mapping[str, FindingKind] = {
    # boxes and outlines
    "box-no-number": FindingKind(
        "warning", "box(es) whose coordinates are no numbers dropped", _MEND,
        "An annotation tool wrote NaN, infinity or a word. The object is unknown to training and evaluation.",
    ),
    "box-empty": FindingKind(
        "warning", "box(es) of no width or height dropped", _MEND,
        "A click by accident, or corners in the wrong order. A box without an area cannot be learnt.",
    ),
    "box-outside": FindingKind(
        "warning", "box(es) outside the image dropped", _MEND,
        "Often the annotation of another image, or of the image at another size.",
    ),
    "box-clipped": FindingKind(
        "warning", "box(es) that reach out of the image clipped", "Draw them within the image, or let them be clipped.",
        "Tools let boxes be drawn past the edge. More than a pixel past it may also mean another image size.",
    ),
    "box-from-outline": FindingKind(
        "warning", "object(s) without a box given the box of their outline", "Write the boxes, if they are others.",
        "Some tools export outlines alone. The smallest box around an outline is the object's.",
    ),
    "outline-clipped": FindingKind(
        "warning", "outline(s) that reach out of the image clipped",
        "Draw them within the image, or let them be clipped.",
        "Tools let outlines be drawn past the edge. What lies outside is cut off, so that the edges within stay.",
    ),
    "outline-outside": FindingKind(
        "warning", "outline(s) outside the image dropped", _MEND,
        "Often the annotation of another image, or of the image at another size.",
    ),
    "outline-too-long": FindingKind(
        "warning", "outline(s) too long to be rasterized dropped", _MEND,
        "An outline that crosses its image thousands of times is noise, or made to exhaust memory.",
    ),
    "outline-few-points": FindingKind(
        "warning", "outline(s) with fewer than three points dropped", _MEND,
        "Two points bound no area: a click by accident.",
    ),
    "outline-no-number": FindingKind(
        "warning", "segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths dropped", _MEND,
        "The entry holds a word, an odd number of values, or something else.",
    ),
    "outline-missing": FindingKind(
        "warning", "object(s) without an outline dropped",
        "Draw the outlines, or train on boxes: task=detect",
        "Masks need an outline or run lengths; the object has a box alone.",
    ),
    "rle-length": FindingKind(
        "warning", "RLE(s) of another length than their image dropped", _MEND,
        "Run lengths count every pixel of the image; these belong to an image of another size.",
    ),
    "too-many-objects": FindingKind(
        "warning", "image(s) with more than {limit} objects cut to so many", "Divide the image, or remove repetitions.",
        "More objects than any head proposes: an export that repeats itself, or a file made to exhaust memory.",
    ),
    # annotations
    "annotation-invalid": FindingKind(
        "warning", "annotation(s) without an image, a category or a box of four numbers dropped", _MEND,
        "An entry that misses a key or has a wrong type cannot be attributed to an object.",
    ),
    "annotation-orphan": FindingKind(
        "warning", "annotation(s) of an image that is not listed dropped", "List the image, or remove the annotations.",
        "Images were removed from the list and their annotations were left.",
    ),
    "annotation-repeated": FindingKind(
        "warning", "object(s) annotated twice dropped once", "Remove the repetition.",
        "Files merged twice. Each repetition would count as an object that was not found.",
    ),
    "image-missing": FindingKind(
        "warning", "annotation(s) for a missing image dropped", "Add the images, or remove the annotations.",
        "The image was deleted, renamed or not copied.",
    ),
    "image-ambiguous": FindingKind(
        "warning", "listed image(s) whose name fits several files, or whose file fits several names, dropped",
        "Write file_name relative to the folder of the images.",
        "Paths of another computer are found by their last parts, and these are not unique.",
    ),
    "image-listed-missing": FindingKind(
        "warning", "listed image(s) of {split} that do not exist dropped",
        "Correct the paths, or remove the lines.",
        "The list was made on another computer, or images were removed.",
    ),
    "image-listed-twice": FindingKind(
        "warning", "image(s) listed twice merged", "Keep one entry for each file.",
        "The annotations of both entries are those of one image; apart, each would lack the other's objects.",
    ),
    "image-unannotated": FindingKind(
        "warning", "image(s) without an annotation file dropped",
        "Annotate them, or write an empty annotation where there is nothing to find.",
        "Whether nothing is in the image or nobody has looked at it is unknown.",
    ),
    "image-no-labels": FindingKind(
        "note", "image(s) of {split} without a label file, read as background", "Check that labels lie in labels/.",
        "YOLO's form has no file for an image without objects. A wrong folder or ending looks the same.",
    ),
    "label-missing": FindingKind(
        "warning", "row(s) without a label dropped", "Write the label, or remove the row.",
        "Nobody has looked at the image yet, or the export left the cell empty.",
    ),
    "label-none": FindingKind(
        "note", "image(s) without a label, read as having none of the classes", "Check that they were looked at.",
        "With several labels an image may also have none of them. An image that nobody has labelled looks the same.",
    ),
    "label-conflict": FindingKind(
        "error", "row(s) with another label than an earlier row of the same image",
        "Keep one of them. If an image may have several labels: task=multilabel",
        "Two people, or two exports, do not agree. One of the labels is wrong, and no training could satisfy both.",
    ),
    "row-no-split": FindingKind(
        "warning", "row(s) of a split that is none of train, val and test left out",
        "Name splits train, val and test, or remove the rows.",
        "A split under another name would be lost, or an empty cell left the image out by mistake.",
    ),
    "labels-mostly-missing": FindingKind(
        "warning", "image(s) of {split}, half of it or more, without a label file, read as background",
        "Check that labels lie in labels/, where images/ is, and are named like their images.",
        "Few sets are background for the most part. Labels that were not copied, or lie elsewhere, look the same.",
    ),
    "label-file-orphan": FindingKind(
        "warning", "label file(s) for a missing image dropped", "Add the images, or remove the files.",
        "The image was deleted, renamed or not copied.",
    ),
    "line-malformed": FindingKind(
        "warning", "line(s) that are not '{form}' dropped", _MEND,
        "Another form of annotation, a separator that is no space, or a line cut short.",
    ),
    "line-extra-columns": FindingKind(
        "warning", "line(s) with columns after the box that nothing explains, which are left out",
        "Say what they are, in the YAML file kpt_shape: [points, 2 or 3], or dataset.columns=box or outline.",
        "Points of a pose, a track or an angle behind the box. Read as an outline they would give other boxes.",
    ),
    "line-commas": FindingKind(
        "warning", "line(s) with commas, read as spaces or as decimal points",
        "Write numbers as 0.5, with spaces between.",
        "A table program, or a computer whose language writes 0,5 for 0.5.",
    ),
    "xml-broken": FindingKind(
        "warning", "XML file(s) that cannot be parsed dropped", _MEND,
        "The file was cut short or is empty, declares an encoding that is unknown or that it does not have, or defines "
        "entities, which could expand without end.",
    ),
    "object-nameless": FindingKind(
        "warning", "object(s) without a name dropped", _MEND, "Without a class an object cannot be learnt.",
    ),
    "object-unknown-class": FindingKind(
        "warning", "object(s) of a class that dataset.classes does not list dropped",
        "List the class in dataset.classes, or correct its name.",
        "A typing mistake, or a class that was added later.",
    ),
    "categories-by-name": FindingKind(
        "warning", "categor(ies) of {split} with another id than in train, matched by name",
        "Export all splits with one list of categories.",
        "Splits exported one by one number their categories each in its own way.",
    ),
    "image-turned": FindingKind(
        "warning", "photo(s) turned by EXIF whose annotations are of the stored pixels, read unturned",
        "Nothing, if the objects lie right in targets.png.",
        "A camera stores a photo lying and says that it is to be turned; the tool that annotated it did not turn it.",
    ),
    "size-differs": FindingKind(
        "warning", "image(s) of another size than their annotation says dropped",
        "Expected the images that were annotated. Replace them.",
        "The image was resized, or turned, after it was annotated: its boxes would be wrong.",
    ),
    "size-missing": FindingKind(
        "note", "annotation file(s) without the size of their image, read from the image", "Nothing.",
        "Some tools write 0 for width and height. Boxes that reach out of the image are then found by its own size.",
    ),
    # masks
    "mask-missing": FindingKind(
        "warning", "image(s) without a mask dropped", "Add the masks, or remove the images.",
        "The mask was not exported, or has another name; see dataset.mask_suffix.",
    ),
    "mask-orphan": FindingKind(
        "warning", "mask(s) for a missing image dropped", "Add the images, or remove the masks.",
        "The image was deleted, renamed or not copied.",
    ),
    "mask-unreadable": FindingKind(
        "warning", "mask(s) or image(s) that cannot be read dropped", _MEND, "A file cut short or no image at all.",
    ),
    "mask-size": FindingKind(
        "warning", "mask(s) of another size than their image dropped", "Export both at one size.",
        "One of them was resized. Stretching a mask would move the edges of objects.",
    ),
    "mask-coloured": FindingKind(
        "warning", "RGB mask(s) where ids are expected dropped",
        "Say what each colour means: dataset.class_map={{'0,0,0': background, '128,0,0': thing}}",
        "The masks are pictures of classes in colours, not of their numbers.",
    ),
    "mask-indexed": FindingKind(
        "warning", "index mask(s) where colours are expected dropped",
        "Say what each id means: dataset.class_map={{0: background, 1: thing}}",
        "The class map names colours, but these masks hold numbers.",
    ),
    "mask-outside-classes": FindingKind(
        "warning", "mask(s) with values outside the classes ignored there",
        "Name the values: dataset.class_map={{VALUE: NAME}}, or null to ignore them; ids also by dataset.ignore=ID",
        "Such pixels are neither trained on nor counted. A whole class may hide behind a value that nobody named.",
    ),
    "mask-stray-values": FindingKind(
        "warning", "mask(s) with stray values near {low} and {high}, read as the nearer one",
        "Save masks as PNG, without smoothing.",
        "A smoothed edge, JPEG, or a single wrong pixel: grey levels between black and white are no classes.",
    ),
    "mask-void-class": FindingKind(
        "note", "training mask(s) with pixels of 255, read as a class", "If it is void, say so: dataset.ignore=255",
        "In many data sets 255 marks the pixels that nobody labelled; in others it is white, a class like any other.",
    ),
    "mask-objects-unfit": FindingKind(
        "warning", "mask(s) of objects that do not fit dropped", _MEND,
        "The mask of objects has another size than the mask of classes, or cannot be read.",
    ),
    "mask-objects-missing": FindingKind(
        "warning", "image(s) without a mask of objects dropped", "Add the masks in SegmentationObject/.",
        "task=instance needs to know which pixels belong to one object.",
    ),
    "object-unclassed": FindingKind(
        "warning", "object(s) without a class dropped", _MEND,
        "The pixels of the object have no class, or several, in the mask of classes.",
    ),
    "test-unlabelled": FindingKind(
        "note", "image(s) of test left out, whose masks are not public", "Report the numbers of val.",
        "Benchmarks keep the answers of their test split; files published in their place are void everywhere.",
    ),
    "class-absent": FindingKind(
        "note", "class(es) without a pixel in any training mask", "Leave them out, or add images that show them.",
        "What is not in training cannot be learnt, and its score is 0 or missing.",
    ),
    "class-untrained": FindingKind(
        "note", "class(es) that no training image has", "Leave them out, or add images that have them.",
        "What is not in training cannot be learnt, and its score is 0 or missing.",
    ),
    # files and folders
    "image-unreadable": FindingKind(
        "warning", "unreadable image(s) of {split} dropped", "Replace or remove them.",
        "A file cut short, or none of the forms that Pillow reads.",
    ),
    "image-replaced": FindingKind(
        "warning", "unreadable image(s) of {split} replaced by the next readable one", "Replace or remove them.",
        "A file cut short, found while training; batches stay full.",
    ),
    "name-repeated": FindingKind(
        "warning", "file(s) named like another but for the ending dropped", "Keep one of them.",
        "Which of two images of one name a mask belongs to is unknown.",
    ),
    "file-no-image": FindingKind(
        "warning", "file(s) of an ending that is not read left out: {endings}",
        "Convert them, move them elsewhere, or install what reads them: pip install pillow-heif for HEIC.",
        "Photos of telephones are often HEIC; a class may lack half of its images unsaid.",
    ),
    "file-special": FindingKind(
        "warning", "link(s) to nothing, pipes or devices left out",
        "Copy the files that they stand for, or remove them.",
        "A folder of links was copied without what the links lead to, or holds what is no file.",
    ),
    "files-identical": FindingKind(
        "note", "image(s) that are identical to another, kept in one split", "Remove the copies.",
        "Copies in two splits would make the number too good. They may also weigh too much in training.",
    ),
    "file-no-split": FindingKind(
        "note", "JSON file(s) without a split in their name left out, for others have one",
        "Say which file is which: dataset.annotations.val=FILE",
        "The annotations of a split under another name would be lost.",
    ),
    "folder-no-split": FindingKind(
        "warning", "folder(s) beside the splits that are none left out",
        "Name splits train, val and test, or remove the folder.",
        "A split under another name would be lost.",
    ),
    "image-no-class": FindingKind(
        "warning", "image(s) that lie in no class folder left out", "Move them into the folder of their class.",
        "Without a class an image cannot be learnt.",
    ),
    "class-empty": FindingKind(
        "warning", "class folder(s) without images dropped", "Fill or remove them.",
        "Images not copied, or a folder of another tool.",
    ),
    "class-not-in-split": FindingKind(
        "note", "class(es) without an image in {split}", "Add images of them, or expect no number for them.",
        "What is not in a split is not measured there.",
    ),
    "group-unmatched": FindingKind(
        "warning", "image(s) whose path dataset.group_by does not match, each a group of its own",
        "Correct the pattern, or the names.",
        "Images of one patient or film that are not recognised as such may be in two splits.",
    ),
    "groups-overlap": FindingKind(
        "error", "image(s) of {split} whose group by dataset.group_by is in {other} too",
        "Move each group into one split, or accept it: dataset.allow_overlap=true",
        "Images of one patient or film are alike: the number would be too good for new patients and films.",
    ),
    "groups-overlap-allowed": FindingKind(
        "warning",
        "image(s) of {split} whose group by dataset.group_by is in {other} too, as dataset.allow_overlap=true allows",
        "Move each group into one split.",
        "Images of one patient or film are alike: the number is too good for new patients and films.",
    ),
    "splits-overlap": FindingKind(
        "error", "file(s) of {split} that are in {other} too",
        "Remove them from one split, or accept it: dataset.allow_overlap=true",
        "An image that was trained on says nothing about others: the number would be too good.",
    ),
    "splits-overlap-allowed": FindingKind(
        "warning", "file(s) of {split} that are in {other} too, as dataset.allow_overlap=true allows",
        "Remove them from one split.",
        "An image that was trained on says nothing about others: the number is too good.",
    ),
    "overlap-unchecked": FindingKind(
        "note", "files, too many to compare their contents: only names and links were looked at", "Nothing.",
        "Comparing the contents of more than 50,000 files would delay each run.",
    ),
    # pixels
    "value-range": FindingKind(
        "note", "image(s) of more than 8 bits or of floats: {low} to {high} is read as 0 to 255",
        "Say the range: dataset.value_range=[{low},{high}]",
        "The range was measured over the training split. A camera's own range is more stable than a measured one.",
    ),
    "image-too-large": FindingKind(
        "warning", "image(s) of more pixels than dataset.max_pixels dropped",
        "Allow them: dataset.max_pixels=NUMBER",
        "An image of many pixels fills memory; some files are made for that.",
    ),
}  # fmt: skip
