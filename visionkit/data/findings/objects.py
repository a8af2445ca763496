"""Findings on boxes and outlines."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import MEND, FindingKind

__all__ = ["OBJECTS"]

OBJECTS: Mapping[str, FindingKind] = {
    "box-no-number": FindingKind(
        severity="warning", text="box(es) whose coordinates are no numbers dropped",
        remedy=MEND,
        why="An annotation tool wrote NaN, infinity or a word. The object is unknown to training and evaluation.",
    ),
    "box-empty": FindingKind(
        severity="warning", text="box(es) of no width or height dropped",
        remedy=MEND,
        why="A click by accident, or corners in the wrong order. A box without an area cannot be learnt.",
    ),
    "box-outside": FindingKind(
        severity="warning", text="box(es) outside the image dropped",
        remedy=MEND,
        why="Often the annotation of another image, or of the image at another size.",
    ),
    "box-clipped": FindingKind(
        severity="warning", text="box(es) that reach out of the image clipped",
        remedy="Draw them within the image, or let them be clipped.",
        why="Tools let boxes be drawn past the edge. More than a pixel past it may also mean another image size.",
    ),
    "box-corners": FindingKind(
        severity="warning",
        text="box(es) of {place} that look like two corners, read as a point and a size; {outside} reach out of the "
        "image",
        remedy="Look at targets.png. If so, write x, y, width and height, as the form has them.",
        why="A converter wrote x1 y1 x2 y2 where the form has a point, width and height: all boxes are then too large.",
    ),
    "box-fraction": FindingKind(
        severity="warning", text="box(es) smaller than a pixel, as fractions of the image's sides are, read as pixels",
        remedy="Multiply x by the width and y by the height of the image.",
        why="Two exports were merged, of which one writes fractions. Such an object cannot be found.",
    ),
    "box-from-outline": FindingKind(
        severity="warning", text="object(s) without a box given the box of their outline",
        remedy="Write the boxes, if they are others.",
        why="Some tools export outlines alone. The smallest box around an outline is the object's.",
    ),
    "outline-clipped": FindingKind(
        severity="warning", text="outline(s) that reach out of the image clipped",
        remedy="Draw them within the image, or let them be clipped.",
        why="Tools let outlines be drawn past the edge. What lies outside is cut off, so that the edges within stay.",
    ),
    "outline-outside": FindingKind(
        severity="warning", text="outline(s) outside the image dropped",
        remedy=MEND,
        why="Often the annotation of another image, or of the image at another size.",
    ),
    "outline-too-long": FindingKind(
        severity="warning", text="outline(s) too long to be rasterized dropped",
        remedy=MEND,
        why="An outline that crosses its image thousands of times is noise, or made to exhaust memory.",
    ),
    "outline-few-points": FindingKind(
        severity="warning", text="outline(s) with fewer than three points dropped",
        remedy=MEND,
        why="Two points bound no area: a click by accident.",
    ),
    "outline-no-number": FindingKind(
        severity="warning", text="segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths dropped",
        remedy=MEND,
        why="The entry holds a word, an odd number of values, or something else.",
    ),
    "outline-missing": FindingKind(
        severity="warning", text="object(s) without an outline dropped",
        remedy="Draw the outlines, or train on boxes: task=detect",
        why="Masks need an outline or run lengths; the object has a box alone.",
    ),
    "rle-length": FindingKind(
        severity="warning", text="RLE(s) of another length than their image dropped",
        remedy=MEND,
        why="Run lengths count every pixel of the image; these belong to an image of another size.",
    ),
    "masks-too-large": FindingKind(
        severity="warning", text="image(s) whose masks would take minutes to draw, cut to the first objects",
        remedy="Cut the image into tiles, or draw its outlines with fewer points and rings.",
        why="A mask has as many pixels as its image, and thousands of them in a large image take minutes in every "
        "epoch; outlines that cross the image thousands of times do so too. Such files are often made to exhaust a "
        "machine.",
    ),
    "too-many-objects": FindingKind(
        severity="warning", text="image(s) with more than {limit} objects cut to so many",
        remedy="Divide the image, or remove repetitions.",
        why="More objects than any head proposes: an export that repeats itself, or a file made to exhaust memory.",
    ),
}  # fmt: skip
