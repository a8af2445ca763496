"""Boxes and masks of objects drawn on images with Pillow: single files, and sheets of many images."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from visionkit.report.fonts import load_font
from visionkit.report.image_grid import add_legend, panel_scale, to_pil_image, write_image_grid, write_picture
from visionkit.report.palette import text_colour
from visionkit.report.style import LegendEntry, shorten
from visionkit.structures.rle import RunLengths, decode_part

__all__ = ["DrawnBox", "Label", "draw_boxes", "place_labels", "plot_boxes", "write_boxes"]

MIN_SIZE = 400
TINT_ALPHA = 110  # opacity of masks, of 255


@dataclass(frozen=True)
class DrawnBox:
    """A box to draw.

    Attributes:
        box: Left, top, right, bottom in pixels.
        text: The label at its edge; "" for none.
        colour: Hexadecimal, such as ``"#1f5fbf"``.
        mask: The pixels to tint; None for none.
        dashed: Draw its edge in dashes on white or black, as that of a mistake.
    """

    box: Sequence[float]
    text: str
    colour: str
    mask: RunLengths | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Label:
    """The text of a box on a filled rectangle: left, top, right, bottom in pixels of the picture."""

    edges: tuple[float, float, float, float]
    text: str
    colour: str


def draw_boxes(
    image: Any,
    boxes: Sequence[DrawnBox],
    *,
    caption: str = "",
    legend: Sequence[LegendEntry] = (),
    reduced: int = 1,
) -> Image.Image:
    """An image with boxes at its original size; a small image is enlarged by an integer factor to be legible.

    Args:
        image: (C, H, W) uint8, a tensor or an array; one channel is grey, of more the first three are colours.
        boxes: In pixels of the original; earlier ones are drawn over later ones.
        caption: A text below the image.
        legend: Names and their colours, below the image.
        reduced: The pixels of the original, along a side, for each of the image.
    """
    factor = math.ceil(MIN_SIZE / max(image.shape[1:]))
    return add_legend(_draw_boxes(image, boxes, scale=float(factor), reduced=reduced), caption, legend)


def write_boxes(image: Any, boxes: Sequence[DrawnBox], path: Path, **options: Any) -> None:
    """Write the picture of `draw_boxes`, which has the same options, as PNG or JPEG, by the suffix."""
    write_picture(draw_boxes(image, boxes, **options), path)


def plot_boxes(
    panels: Sequence[tuple[Any, Sequence[DrawnBox]]],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
    legend: Sequence[LegendEntry] = (),
) -> None:
    """Write images with their boxes in rows as one PNG.

    Args:
        panels: Images (C, H, W) uint8 of any sizes, each with boxes in its pixels.
        path: The PNG file.
        title: The line above the images.
        columns: The number of images in a row.
        headings: The headings of the columns.
        legend: Names and their colours, below the images.
    """
    pictures = [_draw_boxes(image, boxes, scale=panel_scale(*image.shape[1:])) for image, boxes in panels]
    write_image_grid(pictures, path, title=title, columns=columns, headings=headings, legend=legend)


def place_labels(boxes: Sequence[DrawnBox], scale: float, size: tuple[int, int], font_size: float) -> list[Label]:
    """Labels at the corners of their boxes, where none covers another one.

    Each takes the first free place: above the box, inside at its top, below it, inside at its bottom; at its left and
    then at its right end; at last beside it. One that has no free place is left out: its box has the colour of its
    class, which the legend names.

    Args:
        boxes: The most important first, in pixels of the image.
        scale: Pixels of the picture per pixel of the image.
        size: Width and height of the picture.
        font_size: In pixels of the picture.
    """
    labels: list[Label] = []
    for box in boxes:
        text = shorten(box.text, 24)
        if not text:
            continue
        width, height = load_font(font_size, text).getlength(text) + 4, round(font_size * 1.25)
        for edges in _label_places([value * scale for value in box.box], width, height, size):
            if not any(_overlap(edges, label.edges) for label in labels):
                labels.append(Label(edges, text, box.colour))
                break
    return labels


def _label_places(
    box: Sequence[float], width: float, height: float, size: tuple[int, int]
) -> Iterator[tuple[float, float, float, float]]:
    """Where the label of a box may lie within the picture, the best place first."""
    left, top, right, bottom = box
    corners = [(x, y) for y in (top - height, top, bottom, bottom - height) for x in (left, right - width)]
    corners += [(x, y) for x in (right, left - width) for y in (top, bottom - height)]
    is_inside = [0 <= x <= size[0] - width and 0 <= y <= size[1] - height for x, y in corners]
    if not any(is_inside):
        corners, is_inside = [(max(0.0, min(left, size[0] - width)), max(0.0, min(top, size[1] - height)))], [True]
    for (x, y), inside in zip(corners, is_inside, strict=True):
        if inside:
            yield x, y, x + width, y + height


def _overlap(first: Sequence[float], second: Sequence[float]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _draw_boxes(array: Any, boxes: Sequence[DrawnBox], *, scale: float, reduced: int = 1) -> Image.Image:
    image = to_pil_image(array, scale=scale)
    scale /= reduced
    for box in reversed(boxes):
        if box.mask is not None:
            _tint(image, box.mask, box.colour, scale)
    draw = ImageDraw.Draw(image)
    # in pictures of many small objects, text and lines no larger than these
    height = 20 * float(np.median([box.box[3] - box.box[1] for box in boxes] or [0])) * scale
    mean_side = min(math.sqrt(image.width * image.height), height)
    line_width, font_size = max(2, round(mean_side / 280)), max(11, min(mean_side / 35, min(image.size) / 6))
    for box in reversed(boxes):
        left, top, right, bottom = (value * scale for value in box.box)
        edges = (left, top, max(left, right - 1), max(top, bottom - 1))
        draw.rectangle(edges, outline=text_colour(box.colour) if box.dashed else box.colour, width=line_width)
        if box.dashed:
            _draw_dashes(draw, edges, box.colour, line_width)
    for label in place_labels(boxes, scale, image.size, font_size):
        left, top, right, bottom = label.edges
        draw.rectangle((left, top, right - 1, bottom - 1), fill=label.colour)
        draw.text(
            (left + 2, (top + bottom) / 2), label.text, fill=text_colour(label.colour),
            font=load_font(font_size, label.text), anchor="lm",
        )  # fmt: skip
    return image


def _tint(image: Image.Image, runs: RunLengths, colour: str, scale: float) -> None:
    """Tint the pixels of a mask of which the image is drawn at this scale."""
    part, top, left = decode_part(runs)
    if not part.size:
        return
    tint = Image.fromarray(part.astype(np.uint8) * TINT_ALPHA)
    size = (max(1, round(tint.width * scale)), max(1, round(tint.height * scale)))
    corner = (round(left * scale), round(top * scale))
    image.paste(colour, corner, mask=tint.resize(size, Image.Resampling.NEAREST))


def _draw_dashes(draw: ImageDraw.ImageDraw, edges: Sequence[float], colour: str, line_width: int) -> None:
    """Draw the edges of a box in dashes, each of half the gap from the next."""
    left, top, right, bottom = edges
    dash, inset = 4 * line_width, line_width - 1
    for start in np.arange(left, right, 2 * dash):
        end = min(start + dash, right)
        draw.rectangle((start, top, end, top + inset), fill=colour)
        draw.rectangle((start, max(top, bottom - inset), end, bottom), fill=colour)
    for start in np.arange(top, bottom, 2 * dash):
        end = min(start + dash, bottom)
        draw.rectangle((left, start, left + inset, end), fill=colour)
        draw.rectangle((max(left, right - inset), start, right, end), fill=colour)
