"""Findings on files and folders, and on what images hold."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["FILES"]

FILES: Mapping[str, FindingKind] = {
    "image-unreadable": FindingKind(
        severity="warning", text="unreadable image(s) of {split} dropped",
        remedy="Replace or remove them.",
        why="A file cut short, or none of the forms that Pillow reads.",
    ),
    "image-replaced": FindingKind(
        severity="warning", text="unreadable image(s) of {split} replaced by the next readable one",
        remedy="Replace or remove them.",
        why="A file cut short, found while training; batches stay full.",
    ),
    "name-repeated": FindingKind(
        severity="warning", text="file(s) named like another but for the ending dropped",
        remedy="Keep one of them.",
        why="Which of two images of one name a mask belongs to is unknown.",
    ),
    "name-other-case": FindingKind(
        severity="warning", text="file(s) whose annotation has their name in other small and capital letters, paired",
        remedy="Check that they belong together, and give both one name.",
        why="Windows takes both for one name, and cameras and programs write A.JPG and a.png.",
    ),
    "file-no-image": FindingKind(
        severity="warning", text="file(s) of an ending that is not read left out: {endings}",
        remedy="Convert them, move them elsewhere, or install what reads them: pip install pillow-heif for HEIC.",
        why="Photos of telephones are often HEIC; a class may lack half of its images unsaid.",
    ),
    "array-beside-image": FindingKind(
        severity="note", text="array(s) (.npy) beside an image of the same name left out",
        remedy="Remove them, or move the arrays into a folder of their own to train on these.",
        why="Some training programs write an image's pixels beside it as a cache; one picture would count twice.",
    ),
    "file-special": FindingKind(
        severity="warning", text="link(s) to nothing, pipes or devices left out",
        remedy="Copy the files that they stand for, or remove them.",
        why="A folder of links was copied without what the links lead to, or holds what is no file.",
    ),
    "files-identical": FindingKind(
        severity="note", text="image(s) that are identical to another, kept in one split",
        remedy="Remove the copies.",
        why="Copies in two splits would make the number too good. They may also weigh too much in training.",
    ),
    "file-no-split": FindingKind(
        severity="note", text="JSON file(s) without a split in their name left out, for others have one",
        remedy="Say which file is which: dataset.annotations.val=FILE",
        why="The annotations of a split under another name would be lost.",
        otherwise="Name the files after their splits.",
    ),
    "folder-no-split": FindingKind(
        severity="warning", text="folder(s) beside the splits that are none left out",
        remedy="Name splits train, val and test, or remove the folder.",
        why="A split under another name would be lost.",
    ),
    "image-no-split": FindingKind(
        severity="warning", text="image(s) beside the folders of splits left out",
        remedy="Move them into a split, or remove them.",
        why="Which split they belong to is unknown.",
    ),
    "split-not-read": FindingKind(
        severity="warning", text="folder(s) named after splits beside those of all images and masks left out",
        remedy="Move their files there, or name each folder: dataset.images.train=images dataset.images.val=val/images "
        "...",
        why="The val that was given would be lost, and another be drawn from train.",
        otherwise="Move their files there.",
    ),
    "split-unnamed": FindingKind(
        severity="warning", text="image(s) in folders named after splits that the data set's file does not name left "
        "out",
        remedy="Name the folder in the file, such as val: images/val, or remove it.",
        why="The val that was given would be lost, and another be drawn from train.",
    ),
    "image-excluded": FindingKind(
        severity="note", text="image(s) left out, as {file} says",
        remedy="Nothing.",
        why="dataset.exclude names a text file of images that are not wanted, as `check fix=list` writes it.",
    ),
    "exclude-unmatched": FindingKind(
        severity="warning", text="line(s) of {file} that name no image of the data set",
        remedy="Write paths relative to dataset.root, or remove the lines.",
        why="An image that was meant to be left out may be in the training.",
        otherwise="Write paths relative to the folder of the data set, or remove the lines.",
    ),
    "split-empty": FindingKind(
        severity="warning", text="folder(s) of {split} without an image left out, so that there is no such split",
        remedy="Fill or remove it.",
        why="Images not copied, or an export that names a split without making it.",
    ),
    "test-no-class": FindingKind(
        severity="warning", text="image(s) of test that lie in no class folder left out, so that nothing is tested",
        remedy="Move them into the folders of their classes, or remove them.",
        why="Competitions keep the answers of their test images; images without a class can be predicted, but not "
        "scored.",
    ),
    "image-two-classes": FindingKind(
        severity="warning", text="image(s) identical to one of another class",
        remedy="Keep one of them.",
        why="Two people, or two exports, do not agree, or the folder of a class is a link to another. One of the "
        "labels is wrong, and no training could satisfy both.",
    ),
    "image-no-class": FindingKind(
        severity="warning", text="image(s) that lie in no class folder left out",
        remedy="Move them into the folder of their class.",
        why="Without a class an image cannot be learnt.",
    ),
    "class-empty": FindingKind(
        severity="warning", text="class folder(s) without images dropped",
        remedy="Fill or remove them.",
        why="Images not copied, or a folder of another tool.",
    ),
    "class-not-in-split": FindingKind(
        severity="note", text="class(es) without an image in {split}",
        remedy="Add images of them, or expect no number for them.",
        why="What is not in a split is not measured there.",
    ),
    "group-unmatched": FindingKind(
        severity="warning", text="image(s) whose path dataset.group_by does not match, each a group of its own",
        remedy="Correct the pattern, or the names.",
        why="Images of one patient or film that are not recognised as such may be in two splits.",
    ),
    "groups-overlap": FindingKind(
        severity="error", text="image(s) of {split} whose group by dataset.group_by is in {other} too",
        remedy="Move each group into one split, or accept it: dataset.allow_overlap=true",
        why="Images of one patient or film are alike: the number would be too good for new patients and films.",
        otherwise="Move each group into one split.",
    ),
    "groups-overlap-allowed": FindingKind(
        severity="warning",
        text="image(s) of {split} whose group by dataset.group_by is in {other} too, as dataset.allow_overlap=true "
        "allows",
        remedy="Move each group into one split.",
        why="Images of one patient or film are alike: the number is too good for new patients and films.",
    ),
    "splits-overlap": FindingKind(
        severity="error", text="file(s) of {split} that are in {other} too",
        remedy="Remove them from one split, or accept it: dataset.allow_overlap=true",
        why="An image that was trained on says nothing about others: the number would be too good.",
        otherwise="Remove them from one split.",
    ),
    "splits-overlap-allowed": FindingKind(
        severity="warning", text="file(s) of {split} that are in {other} too, as dataset.allow_overlap=true allows",
        remedy="Remove them from one split.",
        why="An image that was trained on says nothing about others: the number is too good.",
    ),
    "overlap-unchecked": FindingKind(
        severity="note", text="files, too many to compare their contents: only names and links were looked at",
        remedy="Nothing.",
        why="Comparing the contents of more than 50,000 files would delay each run.",
    ),
    "contents-uncompared": FindingKind(
        severity="note",
        text="file(s) whose contents are not compared under debug=fast or dataset.compare_contents=false: only names "
        "and links were looked at",
        remedy="For numbers that are to mean something: debug=none dataset.compare_contents=true",
        why="A try-out should take seconds, and its numbers mean nothing. Copies of a file in two splits are not "
        "found.",
        otherwise="For numbers that are to mean something: debug=none",
    ),
    "value-range": FindingKind(
        severity="note",
        text="training image(s) of those looked at have more than 8 bits or floats: {low} to {high} is read as 0 to "
        "255",
        remedy="Say the range: dataset.value_range=[{low},{high}]",
        why="The range was measured over at most 300 training images, evenly spaced; values beyond it are clipped. A "
        "camera's own range is more stable than a measured one.",
        otherwise="Nothing.",
    ),
    "value-range-doubtful": FindingKind(
        severity="warning",
        text="training image(s) of those looked at have values far from all others, which lie from {first} to {last}: "
        "the range {low} to {high} leaves these few levels",
        remedy="If the far values are pixels without data or broken ones, say the range: "
        "dataset.value_range=[{first},{last}]",
        why="A value such as -9999 that stands for missing data, or one broken pixel, stretches the measured range, "
        "and the picture itself becomes nearly flat.",
        otherwise="Remove the values that are no light, and save the images again.",
    ),
    "depth-differs": FindingKind(
        severity="error",
        text="image(s) of {split} of those looked at have more than 8 bits or floats, and none of train has",
        remedy="Save all splits alike, or say which values of theirs are 0 and 255: dataset.value_range=[LOW,HIGH]",
        why="The range is measured over train. Without it deep values would be cut down to a few levels, and the "
        "number of the split would be that of other pictures.",
        otherwise="Save the images of all splits alike.",
    ),
    "depth-mixed": FindingKind(
        severity="warning",
        text="image(s) of {split} of those looked at have 8 bits, and those of train more: read as 0 to 255",
        remedy="Save all images alike.",
        why="Images of one scene in two depths become unlike each other, and a network may tell classes by the depth.",
    ),
    "values-clipped": FindingKind(
        severity="warning",
        text="image(s) of {split} of those looked at have values beyond {low} to {high}, which are clipped",
        remedy="Save all splits alike, or say a range for all: dataset.value_range=[LOW,HIGH]",
        why="The range is that of the training images; more than 1 % of an image beyond it comes of another camera, "
        "unit or scale.",
        otherwise="Save the images of all splits alike.",
    ),
    "image-bands": FindingKind(
        severity="warning", text="image(s) of other bands than dataset.in_channels dropped",
        remedy="Say how many: dataset.in_channels=NUMBER",
        why="Grey and colour are converted into each other; of four or more bands none is known to be left out.",
        otherwise="Convert or remove them.",
    ),
    "image-too-large": FindingKind(
        severity="warning", text="image(s) of more pixels than dataset.max_pixels dropped",
        remedy="Allow them: dataset.max_pixels=NUMBER",
        why="An image of many pixels fills memory; some files are made for that.",
        otherwise="Make them smaller, or remove them.",
    ),
}  # fmt: skip
