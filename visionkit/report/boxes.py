"""Boxes and masks drawn on images, with Pillow: single files, and sheets of many."""

import colorsys
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from visionkit.files import write_atomic
from visionkit.report.sheet import PANEL, as_picture, write_sheet
from visionkit.report.style import INK, short
from visionkit.structures.rle import RunLengths, decode_mask

__all__ = ["DrawnBox", "class_colour", "plot_boxes", "write_boxes"]

SMALLEST = 400
TINT = 110  # of 255
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class DrawnBox:
    """A box to be drawn.

    Attributes:
        box: Left, top, right, bottom in pixels.
        text: What is written at its edge; "" for nothing.
        colour: Such as ``"#1f5fbf"``.
        mask: The pixels that are tinted; None for none.
    """

    box: Sequence[float]
    text: str
    colour: str
    mask: RunLengths | None = None


def class_colour(number: int) -> str:
    """A colour for a class id; neighbours differ much."""
    red, green, blue = colorsys.hsv_to_rgb((0.6 + number * GOLDEN) % 1.0, 0.85, 0.8)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def write_boxes(image: Any, marks: Sequence[DrawnBox], path: Path) -> None:
    """Write an image with boxes on it in its own size; a tiny one is enlarged by a whole factor, to be legible.

    Args:
        image: (C, H, W) uint8, a tensor or an array; the first channel alone is grey, the first three are colours.
        marks: In its pixels; later ones lie above earlier ones.
        path: A PNG or JPEG file, by its suffix.
    """
    factor = math.ceil(SMALLEST / max(image.shape[1:]))
    buffer = io.BytesIO()
    kind = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"
    _draw(image, marks, scale=float(factor)).save(buffer, format=kind, quality=92)
    write_atomic(path, buffer.getvalue())


def plot_boxes(
    panels: Sequence[tuple[Any, Sequence[DrawnBox]]],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
) -> None:
    """Draw images with their boxes in rows.

    Args:
        panels: Images (C, H, W) uint8 of any sizes, each with marks in its pixels.
        path: Where the PNG goes.
        title: The line above.
        columns: Images in a row.
        headings: Words above the columns.
    """
    drawn = [_draw(image, marks, scale=PANEL / max(image.shape[1:])) for image, marks in panels]
    write_sheet(drawn, path, title=title, columns=columns, headings=headings)


def _draw(pixels: Any, marks: Sequence[DrawnBox], *, scale: float) -> Image.Image:
    image = as_picture(pixels, scale=scale)
    for mark in marks:
        if mark.mask is not None:
            tint = Image.fromarray(decode_mask(mark.mask).astype(np.uint8) * TINT)
            image.paste(mark.colour, mask=tint.resize(image.size, Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(image)
    longest = max(image.size)
    line, font = max(2, round(longest / 320)), ImageFont.load_default(max(11, round(longest / 40)))
    for mark in marks:
        left, top, right, bottom = (value * scale for value in mark.box)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=mark.colour, width=line)
    for mark in marks:
        if mark.text:
            _write(pen, mark, font, scale, image.size)
    return image


def _write(pen: ImageDraw.ImageDraw, mark: DrawnBox, font: Any, scale: float, size: tuple[int, int]) -> None:
    """The text on a plate above its box, or inside where the image ends."""
    text = short(mark.text, 24)
    left, top = mark.box[0] * scale, mark.box[1] * scale
    x0, y0, x1, y1 = pen.textbbox((0, 0), text, font=font)
    wide, high = x1 - x0 + 4, y1 - y0 + 4
    left = max(0.0, min(left, size[0] - wide))
    top = top - high if top >= high else min(top, size[1] - high)
    pen.rectangle((left, top, left + wide - 1, top + high - 1), fill=mark.colour)
    pen.text((left + 2 - x0, top + 2 - y0), text, fill="white" if _dark(mark.colour) else INK, font=font)


def _dark(colour: str) -> bool:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue < 150
