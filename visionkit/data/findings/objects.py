"""Findings on boxes and outlines."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["OBJECTS"]

OBJECTS: Mapping[str, FindingKind] = {
    "box-no-number": FindingKind(
        "warning", "box(es) whose coordinates are no numbers dropped", MEND,
        "An annotation tool wrote NaN, infinity or a word. The object is unknown to training and evaluation.",
    ),
    "box-empty": FindingKind(
        "warning", "box(es) of no width or height dropped", MEND,
        "A click by accident, or corners in the wrong order. A box without an area cannot be learnt.",
    ),
    "box-outside": FindingKind(
        "warning", "box(es) outside the image dropped", MEND,
        "Often the annotation of another image, or of the image at another size.",
    ),
    "box-clipped": FindingKind(
        "warning", "box(es) that reach out of the image clipped", "Draw them within the image, or let them be clipped.",
        "Tools let boxes be drawn past the edge. More than a pixel past it may also mean another image size.",
    ),
    "box-corners": FindingKind(
        "warning", "box(es) of {place} that look like two corners, read as a point and a size; {outside} reach out of "
        "the image",
        "Look at targets.png. If so, write x, y, width and height, as the form has them.",
        "A converter wrote x1 y1 x2 y2 where the form has a point, width and height: all boxes are then too large.",
    ),
    "box-fraction": FindingKind(
        "warning", "box(es) smaller than a pixel, as fractions of the image's sides are, read as pixels",
        "Multiply x by the width and y by the height of the image.",
        "Two exports were merged, of which one writes fractions. Such an object cannot be found.",
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
        "warning", "outline(s) outside the image dropped", MEND,
        "Often the annotation of another image, or of the image at another size.",
    ),
    "outline-too-long": FindingKind(
        "warning", "outline(s) too long to be rasterized dropped", MEND,
        "An outline that crosses its image thousands of times is noise, or made to exhaust memory.",
    ),
    "outline-few-points": FindingKind(
        "warning", "outline(s) with fewer than three points dropped", MEND,
        "Two points bound no area: a click by accident.",
    ),
    "outline-no-number": FindingKind(
        "warning", "segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths dropped", MEND,
        "The entry holds a word, an odd number of values, or something else.",
    ),
    "outline-missing": FindingKind(
        "warning", "object(s) without an outline dropped",
        "Draw the outlines, or train on boxes: task=detect",
        "Masks need an outline or run lengths; the object has a box alone.",
    ),
    "rle-length": FindingKind(
        "warning", "RLE(s) of another length than their image dropped", MEND,
        "Run lengths count every pixel of the image; these belong to an image of another size.",
    ),
    "masks-too-large": FindingKind(
        "warning", "image(s) whose masks would take minutes to draw, cut to the first objects",
        "Cut the image into tiles, or draw its outlines with fewer points and rings.",
        "A mask has as many pixels as its image, and thousands of them in a large image take minutes in every epoch; "
        "outlines that cross the image thousands of times do so too. Such files are often made to exhaust a machine.",
    ),
    "too-many-objects": FindingKind(
        "warning", "image(s) with more than {limit} objects cut to so many", "Divide the image, or remove repetitions.",
        "More objects than any head proposes: an export that repeats itself, or a file made to exhaust memory.",
    ),
}  # fmt: skip
