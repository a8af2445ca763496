"""Boxes and masks of objects drawn on images with Pillow: single files, and sheets of many images."""

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
from visionkit.report.image_grid import PANEL_SIZE, to_pil_image, write_image_grid
from visionkit.report.style import TEXT_COLOUR, shorten
from visionkit.structures.rle import RunLengths, decode_part

__all__ = ["DrawnBox", "class_colour", "plot_boxes", "write_boxes"]

MIN_SIZE = 400
TINT_ALPHA = 110  # opacity of masks, of 255
GOLDEN_RATIO_CONJUGATE = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class DrawnBox:
    """A box to draw.

    Attributes:
        box: Left, top, right, bottom in pixels.
        text: The label at its edge; "" for none.
        colour: Hexadecimal, such as ``"#1f5fbf"``.
        mask: The pixels to tint; None for none.
    """

    box: Sequence[float]
    text: str
    colour: str
    mask: RunLengths | None = None


def class_colour(class_id: int) -> str:
    """The colour of a class id; consecutive ids have distant hues."""
    red, green, blue = colorsys.hsv_to_rgb((0.6 + class_id * GOLDEN_RATIO_CONJUGATE) % 1.0, 0.85, 0.8)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def write_boxes(image: Any, boxes: Sequence[DrawnBox], path: Path, *, reduced: int = 1) -> None:
    """Write an image with boxes at its original size; a small image is enlarged by an integer factor to be legible.

    Args:
        image: (C, H, W) uint8, a tensor or an array; one channel is grey, of more the first three are colours.
        boxes: In pixels of the original; later ones are drawn over earlier ones.
        path: A PNG or JPEG file, by its suffix.
        reduced: The pixels of the original, along a side, for each of the image.
    """
    factor = math.ceil(MIN_SIZE / max(image.shape[1:]))
    buffer = io.BytesIO()
    file_format = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"
    _draw_boxes(image, boxes, scale=float(factor), reduced=reduced).save(buffer, format=file_format, quality=92)
    write_atomic(path, buffer.getvalue())


def plot_boxes(
    panels: Sequence[tuple[Any, Sequence[DrawnBox]]],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
) -> None:
    """Write images with their boxes in rows as one PNG.

    Args:
        panels: Images (C, H, W) uint8 of any sizes, each with boxes in its pixels.
        path: The PNG file.
        title: The line above the images.
        columns: The number of images in a row.
        headings: The headings of the columns.
    """
    pictures = [_draw_boxes(image, boxes, scale=PANEL_SIZE / max(image.shape[1:])) for image, boxes in panels]
    write_image_grid(pictures, path, title=title, columns=columns, headings=headings)


def _draw_boxes(array: Any, boxes: Sequence[DrawnBox], *, scale: float, reduced: int = 1) -> Image.Image:
    image = to_pil_image(array, scale=scale)
    scale /= reduced
    for box in boxes:
        if box.mask is not None:
            _tint(image, box.mask, box.colour, scale)
    draw = ImageDraw.Draw(image)
    # in pictures of many small objects, text and lines no larger than these
    long_side = min(max(image.size), 20 * float(np.median([box.box[3] - box.box[1] for box in boxes] or [0])) * scale)
    line_width, font = max(2, round(long_side / 320)), ImageFont.load_default(max(11, round(long_side / 40)))
    for box in boxes:
        left, top, right, bottom = (value * scale for value in box.box)
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=box.colour, width=line_width)
    for box in boxes:
        if box.text:
            _draw_label(draw, box, font, scale, image.size)
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


def _draw_label(draw: ImageDraw.ImageDraw, box: DrawnBox, font: Any, scale: float, size: tuple[int, int]) -> None:
    """Draw the text on a filled rectangle above its box, or inside the box at the image's upper edge."""
    text = shorten(box.text, 24)
    left, top = box.box[0] * scale, box.box[1] * scale
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    width, height = x1 - x0 + 4, y1 - y0 + 4
    left = max(0.0, min(left, size[0] - width))
    top = top - height if top >= height else min(top, size[1] - height)
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=box.colour)
    draw.text((left + 2 - x0, top + 2 - y0), text, fill="white" if _is_dark(box.colour) else TEXT_COLOUR, font=font)


def _is_dark(colour: str) -> bool:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue < 150
