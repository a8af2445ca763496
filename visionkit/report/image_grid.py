"""Conversion of image arrays to Pillow images, sheets of many images in rows, and a legend below a single one."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from visionkit.files import write_atomic
from visionkit.report.fonts import load_font
from visionkit.report.legend import LINE_HEIGHT, draw_legend, draw_text, legend_lines, wrap
from visionkit.report.style import ERROR_COLOUR, GRID_COLOUR, TEXT_COLOUR, LegendEntry

__all__ = [
    "PANEL_SIZE",
    "add_legend",
    "draw_caption",
    "panel_scale",
    "to_bytes",
    "to_pil_image",
    "write_image_grid",
    "write_picture",
]

PANEL_SIZE, GAP, TITLE_SIZE, TEXT_SIZE = 320, 8, 16, 13
_MIN_WIDTH, _MAX_WIDTH = 420, 2080  # of a sheet: its title has room, and wide images have fewer columns
_MAX_LEGEND_LINES = 12


def to_pil_image(pixels: Any, *, scale: float = 1.0) -> Image.Image:
    """Convert an image to a Pillow image in RGB.

    Args:
        pixels: (C, H, W) uint8 or float32 in 0..255, a tensor or an array; of one or two channels the first is grey,
            of more the first three are colours.
        scale: The factor of its sides; from 2 on, with nearest neighbours.
    """
    array = to_bytes(pixels)
    channels_last = array[0] if array.shape[0] < 3 else np.ascontiguousarray(np.moveaxis(array[:3], 0, -1))
    image = Image.fromarray(channels_last).convert("RGB")
    if scale == 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def to_bytes(pixels: Any) -> NDArray[np.uint8]:
    """Images as uint8, rounded from floats in 0..255."""
    array = np.asarray(pixels)
    return array if array.dtype == np.uint8 else np.rint(array).clip(0, 255).astype(np.uint8)


def panel_scale(height: int, width: int, *, size: int = PANEL_SIZE) -> float:
    """The factor that brings an image to the size of a panel; one that is long in a direction may be larger."""
    elongation = max(height, width) / min(height, width)
    return size * min(3.0, max(1.0, math.sqrt(elongation / 2))) / max(height, width)


def write_image_grid(
    pictures: Sequence[Image.Image],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
    captions: Sequence[str] = (),
    wrong: Sequence[bool] = (),
    legend: Sequence[LegendEntry] = (),
) -> None:
    """Write images in rows as one PNG.

    Args:
        pictures: Of any sizes; see `panel_scale`.
        path: The PNG file.
        title: The text above the images.
        columns: The largest number of images in a row, a multiple of the number of ``headings``; fewer of wide images.
        headings: The headings of adjacent columns, repeated to fill the row.
        captions: A text below each image, of one or two lines.
        wrong: Which of the images are framed as errors.
        legend: Labels and their colours, below the images.
    """
    texts = [line for text in (*captions, *headings) for line in text.split("\n")]
    text_width = math.ceil(max((load_font(TEXT_SIZE, text).getlength(text) for text in texts), default=0))
    cell = max(text_width, *(picture.width for picture in pictures)) + GAP
    group = max(1, len(headings))
    columns = min(columns, len(pictures), max(1, int(_MAX_WIDTH / cell / group)) * group)
    width = max(_MIN_WIDTH, GAP + columns * cell)
    title_lines = wrap(title, width - 2 * GAP, size=TITLE_SIZE)
    entries = legend_lines(legend, width - GAP, size=TEXT_SIZE, max_lines=_MAX_LEGEND_LINES)
    caption_height = 4 + 17 * max((caption.count("\n") + 1 for caption in captions), default=0) if captions else 0
    rows = [range(start, min(start + columns, len(pictures))) for start in range(0, len(pictures), columns)]
    heights = [max(pictures[index].height for index in row) + caption_height + GAP for row in rows]
    top = GAP + 22 * len(title_lines) + 4 + (22 if headings else 0)
    sheet = Image.new("RGB", (width, top + sum(heights) + LINE_HEIGHT * len(entries)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(title_lines):
        draw_text(draw, (GAP, GAP + 11 + 22 * number), line, size=TITLE_SIZE)
    for column in range(columns if headings else 0):
        draw_text(draw, (GAP + column * cell, top - 12), headings[column % group], size=TEXT_SIZE)
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            left, picture = GAP + column * cell, pictures[index]
            sheet.paste(picture, (left, top))
            is_wrong = bool(wrong) and wrong[index]
            if wrong:
                _frame(draw, (left, top, left + picture.width, top + picture.height), is_wrong)
            for number, line in enumerate(captions[index].split("\n") if captions else []):
                position = (left, top + picture.height + 4 + 17 * number)
                draw_text(
                    draw, position, line, size=TEXT_SIZE, colour=ERROR_COLOUR if is_wrong else TEXT_COLOUR, anchor="la"
                )
        top += height
    draw_legend(draw, entries, (GAP, top), size=TEXT_SIZE)
    write_picture(sheet, path)


def add_legend(image: Image.Image, caption: str, legend: Sequence[LegendEntry]) -> Image.Image:
    """An image with a caption and a legend in a strip below it; the pixels of the image stay where they are."""
    size = max(TEXT_SIZE, round(math.sqrt(image.width * image.height) / 45))
    line_height, gap = round(size * 1.7), round(size * 0.6)
    lines = wrap(caption, image.width - 2 * gap, size=size) if caption else []
    entries = legend_lines(legend, image.width - gap, size=size, max_lines=6)
    if not lines and not entries:
        return image
    height = gap + line_height * (len(lines) + len(entries))
    result = Image.new("RGB", (image.width, image.height + height), "white")
    result.paste(image, (0, 0))
    draw, top = ImageDraw.Draw(result), image.height + gap // 2
    for line in lines:
        draw_text(draw, (gap, top + line_height / 2), line, size=size)
        top += line_height
    draw_legend(draw, entries, (gap, top), size=size)
    return result


def draw_caption(pixels: Any, caption: str) -> Image.Image:
    """An image (C, H, W) at its original size with a caption below; a small one is enlarged by an integer factor."""
    return add_legend(to_pil_image(pixels, scale=float(math.ceil(PANEL_SIZE / max(pixels.shape[1:])))), caption, ())


def write_picture(image: Image.Image, path: Path) -> None:
    """Write an image as JPEG or PNG, by the suffix, atomically."""
    buffer = io.BytesIO()
    if path.suffix.lower() in (".jpg", ".jpeg"):
        image.save(buffer, format="JPEG", quality=92)
    else:
        image.save(buffer, format="PNG", compress_level=3)
    write_atomic(path, buffer.getvalue())


def _frame(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], is_wrong: bool) -> None:
    left, top, right, bottom = box
    width, colour = (4, ERROR_COLOUR) if is_wrong else (1, GRID_COLOUR)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=width)
