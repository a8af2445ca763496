"""Findings on annotation files, and on the images that they list."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["ANNOTATIONS"]

ANNOTATIONS: Mapping[str, FindingKind] = {
    "annotation-invalid": FindingKind(
        "warning", "annotation(s) without an image, a category or a box of four numbers dropped", MEND,
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
    "image-found-elsewhere": FindingKind(
        "warning", "image(s) that are not where they are listed, found by the last parts of their paths",
        "Check that they are the annotated pictures, and write the paths relative to the folder of the images.",
        "Paths of another computer or folder. Another picture of the same name would get the objects of this one.",
    ),
    "image-ambiguous": FindingKind(
        "warning", "listed image(s) whose name fits several files, or whose file fits several names, dropped",
        "Write the paths relative to the folder of the images.",
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
        "Nobody has looked at the image yet, or the export left the cell empty or wrote NaN, NULL or N/A into it.",
    ),
    "row-several-lines": FindingKind(
        "warning", "line(s) inside of quotes read as text of the row before", "Check the quotes in these lines.",
        "A text may have line breaks in quotes. A quote that was never closed swallows the rows that follow.",
    ),
    "split-column": FindingKind(
        "note", "column(s) read as that of splits, for its words",
        "Nothing. If it is another one: dataset.split_column=NAME",
        "The splits that a table has are kept, whatever the column is called.",
        "Nothing.",
    ),
    "column-not-read": FindingKind(
        "warning", "column(s) named as if of splits or folds not read",
        "Write train, val and test in it, or give another one: dataset.split_column=NAME",
        "A division that was made before would be lost, and images of its test be trained on.",
        "Write train, val and test in it.",
    ),
    "table-beside": FindingKind(
        "warning", "table(s) beside those that are read left out",
        "To read train.csv, val.csv and test.csv of a folder together: dataset.file=FOLDER",
        "The val and test that were given would be lost, and others be drawn from train.",
        "Merge the tables.",
    ),
    "table-unlabelled": FindingKind(
        "warning", "table(s) of a split without the column of labels left out", "Add the labels, or remove the table.",
        "Competitions keep the answers of their test images, which can be predicted, but not scored.",
    ),
    "classes-alike": FindingKind(
        "warning", "class(es) written like another or almost, each a class of its own",
        "Spell them alike, if they are one class.",
        "Cat and cat, or 1 and 1.0, are two classes as they are written, and probably one.",
    ),
    "class-means-missing": FindingKind(
        "note", "class(es) whose name may mean that there is no label",
        "Empty these cells, if nobody has labelled the images.",
        "None, - and ? are what some programs and people write where they have no answer. They may also be a class.",
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
        "warning", "line(s) that are not '{form}' dropped", MEND,
        "Another form of annotation, a separator that is no space, or a line cut short.",
    ),
    "line-extra-columns": FindingKind(
        "warning", "line(s) with columns after the box that nothing explains, which are left out",
        "Say what they are, in the YAML file kpt_shape: [points, 2 or 3], or dataset.columns=box or outline.",
        "Points of a pose, a track or an angle behind the box. Read as an outline they would give other boxes.",
        "Remove the columns.",
    ),
    "line-confidence": FindingKind(
        "note", "line(s) with a number from 0 to 1 behind the box, taken for a confidence and left out",
        "If it is the angle of a turned box, write its corners: class x y x y x y x y.",
        "A model's predictions, which were taken as labels, or a turned box with its angle in radians.",
    ),
    "class-file-differs": FindingKind(
        "warning", "file(s) among the labels that name the classes otherwise than the data set's file: {names}",
        "Compare both lists. The labels follow the one of the program that drew them.",
        "labelImg writes classes.txt in the order in which classes were first drawn. With the other order, boxes get "
        "the names of other classes.",
    ),
    "line-commas": FindingKind(
        "warning", "line(s) with commas, read as spaces or as decimal points",
        "Write numbers as 0.5, with spaces between.",
        "A table program, or a computer whose language writes 0,5 for 0.5.",
    ),
    "xml-broken": FindingKind(
        "warning", "XML file(s) that cannot be parsed dropped", MEND,
        "The file was cut short or is empty, declares an encoding that is unknown or that it does not have, or defines "
        "entities, which could expand without end.",
    ),
    "object-nameless": FindingKind(
        "warning", "object(s) without a name dropped", MEND, "Without a class an object cannot be learnt.",
    ),
    "object-unknown-class": FindingKind(
        "warning", "object(s) of a class that dataset.classes does not list dropped",
        "List the class in dataset.classes, or correct its name.",
        "A typing mistake, or a class that was added later.",
        "Correct its name.",
    ),
    "categories-by-name": FindingKind(
        "warning", "categor(ies) of {split} with another id than in train, matched by name",
        "Export all splits with one list of categories.",
        "Splits exported one by one number their categories each in its own way.",
    ),
    "category-unused": FindingKind(
        "note", "categor(ies) of {split} that train does not have and no object has, left out", "Nothing.",
        "A list of categories that was made for other data. No object is lost.",
    ),
    "split-left-out": FindingKind(
        "warning", "split(s) without images or annotations left out", "Add them, or remove the split's entry.",
        "Tools write an entry for a test split that was never exported, and benchmarks publish test images alone.",
    ),
    "image-turned": FindingKind(
        "warning", "photo(s) turned by EXIF whose annotations are of the stored pixels, read unturned",
        "Check in targets.png that the objects lie right.",
        "A camera stores a photo lying and says that it is to be turned; the tool that annotated it did not turn it.",
    ),
    "image-orientation": FindingKind(
        "warning",
        "photo(s) that EXIF turns, read turned; whether annotations are of the turned or the stored pixels cannot be "
        "told, for both are of one size or no size is declared",
        "Check in targets.png that they lie right. If not, remove the orientation from the photos: exiftool "
        "-Orientation= FILES. If so, store the photos turned: mogrify -auto-orient FILES",
        "A camera stores a photo lying and says that it is to be turned. Some tools annotate it as it is stored; only "
        "where width and height change places does the declared size tell.",
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
}  # fmt: skip
