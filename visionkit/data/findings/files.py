"""Findings on files and folders, and on what images hold."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["FILES"]

FILES: Mapping[str, FindingKind] = {
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
    "array-beside-image": FindingKind(
        "note", "array(s) (.npy) beside an image of the same name left out",
        "Remove them, or move the arrays into a folder of their own to train on these.",
        "Some training programs write an image's pixels beside it as a cache; one picture would count twice.",
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
        "Name the files after their splits.",
    ),
    "folder-no-split": FindingKind(
        "warning", "folder(s) beside the splits that are none left out",
        "Name splits train, val and test, or remove the folder.",
        "A split under another name would be lost.",
    ),
    "image-no-split": FindingKind(
        "warning", "image(s) beside the folders of splits left out", "Move them into a split, or remove them.",
        "Which split they belong to is unknown.",
    ),
    "split-not-read": FindingKind(
        "warning", "folder(s) named after splits beside those of all images and masks left out",
        "Move their files there, or name each folder: dataset.images.train=images dataset.images.val=val/images ...",
        "The val that was given would be lost, and another be drawn from train.",
        "Move their files there.",
    ),
    "split-empty": FindingKind(
        "warning", "folder(s) of {split} without an image left out, so that there is no such split",
        "Fill or remove it.",
        "Images not copied, or an export that names a split without making it.",
    ),
    "test-no-class": FindingKind(
        "warning", "image(s) of test that lie in no class folder left out, so that nothing is tested",
        "Move them into the folders of their classes, or remove them.",
        "Competitions keep the answers of their test images; images without a class can be predicted, but not scored.",
    ),
    "image-two-classes": FindingKind(
        "warning", "image(s) identical to one of another class", "Keep one of them.",
        "Two people, or two exports, do not agree, or the folder of a class is a link to another. One of the labels is "
        "wrong, and no training could satisfy both.",
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
        "Move each group into one split.",
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
        "Remove them from one split.",
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
    "contents-uncompared": FindingKind(
        "note",
        "file(s) whose contents are not compared under debug=fast or dataset.compare_contents=false: only names and "
        "links were looked at",
        "For numbers that are to mean something: debug=none dataset.compare_contents=true",
        "A try-out should take seconds, and its numbers mean nothing. Copies of a file in two splits are not found.",
        otherwise="For numbers that are to mean something: debug=none",
    ),
    "value-range": FindingKind(
        "note",
        "training image(s) of those looked at have more than 8 bits or floats: {low} to {high} is read as 0 to 255",
        "Say the range: dataset.value_range=[{low},{high}]",
        "The range was measured over at most 300 training images, evenly spaced; values beyond it are clipped. A "
        "camera's own range is more stable than a measured one.",
        "Nothing.",
    ),
    "value-range-doubtful": FindingKind(
        "warning",
        "training image(s) of those looked at have values far from all others, which lie from {first} to {last}: the "
        "range {low} to {high} leaves these few levels",
        "If the far values are pixels without data or broken ones, say the range: dataset.value_range=[{first},{last}]",
        "A value such as -9999 that stands for missing data, or one broken pixel, stretches the measured range, and "
        "the picture itself becomes nearly flat.",
        otherwise="Remove the values that are no light, and save the images again.",
    ),
    "depth-differs": FindingKind(
        "error", "image(s) of {split} of those looked at have more than 8 bits or floats, and none of train has",
        "Save all splits alike, or say which values of theirs are 0 and 255: dataset.value_range=[LOW,HIGH]",
        "The range is measured over train. Without it deep values would be cut down to a few levels, and the number "
        "of the split would be that of other pictures.",
        otherwise="Save the images of all splits alike.",
    ),
    "depth-mixed": FindingKind(
        "warning", "image(s) of {split} of those looked at have 8 bits, and those of train more: read as 0 to 255",
        "Save all images alike.",
        "Images of one scene in two depths become unlike each other, and a network may tell classes by the depth.",
    ),
    "values-clipped": FindingKind(
        "warning", "image(s) of {split} of those looked at have values beyond {low} to {high}, which are clipped",
        "Save all splits alike, or say a range for all: dataset.value_range=[LOW,HIGH]",
        "The range is that of the training images; more than 1 % of an image beyond it comes of another camera, unit "
        "or scale.",
        otherwise="Save the images of all splits alike.",
    ),
    "image-bands": FindingKind(
        "warning", "image(s) of other bands than dataset.in_channels dropped",
        "Say how many: dataset.in_channels=NUMBER",
        "Grey and colour are converted into each other; of four or more bands none is known to be left out.",
        "Convert or remove them.",
    ),
    "image-too-large": FindingKind(
        "warning", "image(s) of more pixels than dataset.max_pixels dropped",
        "Allow them: dataset.max_pixels=NUMBER",
        "An image of many pixels fills memory; some files are made for that.",
        "Make them smaller, or remove them.",
    ),
}  # fmt: skip
