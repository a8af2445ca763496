"""Findings on annotation files, and on the images that they list."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["ANNOTATIONS"]

ANNOTATIONS: Mapping[str, FindingKind] = {
    "annotation-invalid": FindingKind(
        severity="warning", text="annotation(s) without an image, a category or a box of four numbers dropped",
        remedy=MEND,
        why="An entry that misses a key or has a wrong type cannot be attributed to an object.",
    ),
    "annotation-orphan": FindingKind(
        severity="warning", text="annotation(s) of an image that is not listed dropped",
        remedy="List the image, or remove the annotations.",
        why="Images were removed from the list and their annotations were left.",
    ),
    "annotation-repeated": FindingKind(
        severity="warning", text="object(s) annotated twice dropped once",
        remedy="Remove the repetition.",
        why="Files merged twice. Each repetition would count as an object that was not found.",
    ),
    "image-missing": FindingKind(
        severity="warning", text="annotation(s) for a missing image dropped",
        remedy="Add the images, or remove the annotations.",
        why="The image was deleted, renamed or not copied.",
    ),
    "image-found-elsewhere": FindingKind(
        severity="warning", text="image(s) that are not where they are listed, found by the last parts of their paths",
        remedy="Check that they are the annotated pictures, and write the paths relative to the folder of the images.",
        why="Paths of another computer or folder. Another picture of the same name would get the objects of this one.",
    ),
    "image-ambiguous": FindingKind(
        severity="warning",
        text="listed image(s) whose name fits several files, or whose file fits several names, dropped",
        remedy="Write the paths relative to the folder of the images.",
        why="Paths of another computer are found by their last parts, and these are not unique.",
    ),
    "image-listed-missing": FindingKind(
        severity="warning", text="listed image(s) of {split} that do not exist dropped",
        remedy="Correct the paths, or remove the lines.",
        why="The list was made on another computer, or images were removed.",
    ),
    "image-listed-twice": FindingKind(
        severity="warning", text="image(s) listed twice merged",
        remedy="Keep one entry for each file.",
        why="The annotations of both entries are those of one image; apart, each would lack the other's objects.",
    ),
    "image-unannotated": FindingKind(
        severity="warning", text="image(s) without an annotation file dropped",
        remedy="Annotate them, or write an empty annotation where there is nothing to find.",
        why="Whether nothing is in the image or nobody has looked at it is unknown.",
    ),
    "image-no-labels": FindingKind(
        severity="note", text="image(s) of {split} without a label file, read as background",
        remedy="Check that labels lie in labels/.",
        why="YOLO's form has no file for an image without objects. A wrong folder or ending looks the same.",
    ),
    "label-missing": FindingKind(
        severity="warning", text="row(s) without a label dropped",
        remedy="Write the label, or remove the row.",
        why="Nobody has looked at the image yet, or the export left the cell empty or wrote NaN, NULL or N/A into it.",
    ),
    "row-several-lines": FindingKind(
        severity="warning", text="line(s) inside of quotes read as text of the row before",
        remedy="Check the quotes in these lines.",
        why="A text may have line breaks in quotes. A quote that was never closed swallows the rows that follow.",
    ),
    "split-column": FindingKind(
        severity="note", text="column(s) read as that of splits, for its words",
        remedy="Nothing. If it is another one: dataset.split_column=NAME",
        why="The splits that a table has are kept, whatever the column is called.",
        otherwise="Nothing.",
    ),
    "column-not-read": FindingKind(
        severity="warning", text="column(s) named as if of splits or folds not read",
        remedy="Write train, val and test in it, or give another one: dataset.split_column=NAME",
        why="A division that was made before would be lost, and images of its test be trained on.",
        otherwise="Write train, val and test in it.",
    ),
    "table-beside": FindingKind(
        severity="warning", text="table(s) beside those that are read left out",
        remedy="To read train.csv, val.csv and test.csv of a folder together: dataset.file=FOLDER",
        why="The val and test that were given would be lost, and others be drawn from train.",
        otherwise="Merge the tables.",
    ),
    "table-unlabelled": FindingKind(
        severity="warning", text="table(s) of a split without the column of labels left out",
        remedy="Add the labels, or remove the table.",
        why="Competitions keep the answers of their test images, which can be predicted, but not scored.",
    ),
    "classes-alike": FindingKind(
        severity="warning", text="class(es) written like another or almost, each a class of its own",
        remedy="Spell them alike, if they are one class.",
        why="Cat and cat, or 1 and 1.0, are two classes as they are written, and probably one.",
    ),
    "labels-joined": FindingKind(
        severity="warning", text="class(es) that look like several labels with '{separator}' between them",
        remedy="If they are several: task=multilabel 'dataset.label_separator=\"{separator}\"'",
        why="A cell with cat,dog is one class of that name, beside cat and dog, unless the separator is known.",
        otherwise="Give each image its labels one by one, if they are several.",
    ),
    "class-means-missing": FindingKind(
        severity="note", text="class(es) whose name may mean that there is no label",
        remedy="Empty these cells, if nobody has labelled the images.",
        why="None, - and ? are what some programs and people write where they have no answer. They may also be a "
        "class.",
    ),
    "label-none": FindingKind(
        severity="note", text="image(s) without a label, read as having none of the classes",
        remedy="Check that they were looked at.",
        why="With several labels an image may also have none of them. An image that nobody has labelled looks the "
        "same.",
    ),
    "label-conflict": FindingKind(
        severity="error", text="row(s) with another label than an earlier row of the same image",
        remedy="Keep one of them. If an image may have several labels: task=multilabel",
        why="Two people, or two exports, do not agree. One of the labels is wrong, and no training could satisfy both.",
    ),
    "row-no-split": FindingKind(
        severity="warning", text="row(s) of a split that is none of train, val and test left out",
        remedy="Name splits train, val and test, or remove the rows.",
        why="A split under another name would be lost, or an empty cell left the image out by mistake.",
    ),
    "labels-mostly-missing": FindingKind(
        severity="warning", text="image(s) of {split}, half of it or more, without a label file, read as background",
        remedy="Check that labels lie in labels/, where images/ is, and are named like their images.",
        why="Few sets are background for the most part. Labels that were not copied, or lie elsewhere, look the same.",
    ),
    "label-file-orphan": FindingKind(
        severity="warning", text="label file(s) for a missing image dropped",
        remedy="Add the images, or remove the files.",
        why="The image was deleted, renamed or not copied.",
    ),
    "line-malformed": FindingKind(
        severity="warning", text="line(s) that are not '{form}' dropped",
        remedy=MEND,
        why="Another form of annotation, a separator that is no space, or a line cut short.",
    ),
    "line-extra-columns": FindingKind(
        severity="warning", text="line(s) with columns after the box that nothing explains, which are left out",
        remedy="Say what they are, in the YAML file kpt_shape: [points, 2 or 3], or dataset.columns=box or outline.",
        why="Points of a pose, a track or an angle behind the box. Read as an outline they would give other boxes.",
        otherwise="Remove the columns.",
    ),
    "line-confidence": FindingKind(
        severity="note", text="line(s) with a number from 0 to 1 behind the box, taken for a confidence and left out",
        remedy="If it is the angle of a turned box, write its corners: class x y x y x y x y.",
        why="A model's predictions, which were taken as labels, or a turned box with its angle in radians.",
    ),
    "class-file-differs": FindingKind(
        severity="warning",
        text="file(s) among the labels that name the classes otherwise than the data set's file: {names}",
        remedy="Compare both lists. The labels follow the one of the program that drew them.",
        why="labelImg writes classes.txt in the order in which classes were first drawn. With the other order, boxes "
        "get the names of other classes.",
    ),
    "line-commas": FindingKind(
        severity="warning", text="line(s) with commas, read as spaces or as decimal points",
        remedy="Write numbers as 0.5, with spaces between.",
        why="A table program, or a computer whose language writes 0,5 for 0.5.",
    ),
    "xml-broken": FindingKind(
        severity="warning", text="XML file(s) that cannot be parsed dropped",
        remedy=MEND,
        why="The file was cut short or is empty, declares an encoding that is unknown or that it does not have, or "
        "defines entities, which could expand without end.",
    ),
    "object-nameless": FindingKind(
        severity="warning", text="object(s) without a name dropped",
        remedy=MEND,
        why="Without a class an object cannot be learnt.",
    ),
    "object-unknown-class": FindingKind(
        severity="warning", text="object(s) of a class that dataset.classes does not list dropped",
        remedy="List the class in dataset.classes, or correct its name.",
        why="A typing mistake, or a class that was added later.",
        otherwise="Correct its name.",
    ),
    "categories-by-name": FindingKind(
        severity="warning", text="categor(ies) of {split} with another id than in train, matched by name",
        remedy="Export all splits with one list of categories.",
        why="Splits exported one by one number their categories each in its own way.",
    ),
    "category-unused": FindingKind(
        severity="note", text="categor(ies) of {split} that train does not have and no object has, left out",
        remedy="Nothing.",
        why="A list of categories that was made for other data. No object is lost.",
    ),
    "split-left-out": FindingKind(
        severity="warning", text="split(s) without images or annotations left out",
        remedy="Add them, or remove the split's entry.",
        why="Tools write an entry for a test split that was never exported, and benchmarks publish test images alone.",
    ),
    "image-turned": FindingKind(
        severity="warning", text="photo(s) turned by EXIF whose annotations are of the stored pixels, read unturned",
        remedy="Check in targets.png that the objects lie right.",
        why="A camera stores a photo lying and says that it is to be turned; the tool that annotated it did not turn "
        "it.",
    ),
    "image-orientation": FindingKind(
        severity="warning",
        text="photo(s) that EXIF turns, read turned; whether annotations are of the turned or the stored pixels cannot "
        "be told, for both are of one size or no size is declared",
        remedy="Check in targets.png that they lie right. If not, remove the orientation from the photos: exiftool "
        "-Orientation= FILES. If so, store the photos turned: mogrify -auto-orient FILES",
        why="A camera stores a photo lying and says that it is to be turned. Some tools annotate it as it is stored; "
        "only where width and height change places does the declared size tell.",
    ),
    "size-differs": FindingKind(
        severity="warning", text="image(s) of another size than their annotation says dropped",
        remedy="Expected the images that were annotated. Replace them.",
        why="The image was resized, or turned, after it was annotated: its boxes would be wrong.",
    ),
    "size-missing": FindingKind(
        severity="note", text="annotation file(s) without the size of their image, read from the image",
        remedy="Nothing.",
        why="Some tools write 0 for width and height. Boxes that reach out of the image are then found by its own "
        "size.",
    ),
}  # fmt: skip
