"""Conversion of image arrays to Pillow images, and sheets of many images in rows."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from visionkit.files import write_atomic
from visionkit.report.style import TEXT_COLOUR, shorten

__all__ = ["PANEL_SIZE", "to_bytes", "to_pil_image", "write_image_grid"]

PANEL_SIZE, GAP, TITLE_HEIGHT, LINE_HEIGHT = 320, 8, 34, 22


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


def write_image_grid(
    pictures: Sequence[Image.Image],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
    legend: Sequence[tuple[str, str]] = (),
) -> None:
    """Write images in rows as one PNG.

    Args:
        pictures: At most `PANEL_SIZE` pixels wide and high.
        path: The PNG file.
        title: The line above the images.
        columns: The number of images in a row.
        headings: The headings of the columns.
        legend: Labels and their colours, below the images.
    """
    columns = min(columns, len(pictures))
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    heights = [max(panel.height for panel in row) for row in rows]
    top, width = TITLE_HEIGHT + (TITLE_HEIGHT - 12 if headings else 0), GAP + columns * (PANEL_SIZE + GAP)
    legend_lines = _legend_lines(legend, width)
    sheet = Image.new("RGB", (width, top + sum(heights) + GAP * len(rows) + LINE_HEIGHT * len(legend_lines)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, TITLE_HEIGHT / 2), title, fill=TEXT_COLOUR, font=ImageFont.load_default(16), anchor="lm")
    for column, heading in enumerate(headings[:columns]):
        position = (GAP + column * (PANEL_SIZE + GAP), TITLE_HEIGHT + 6)
        draw.text(position, heading, fill=TEXT_COLOUR, font=ImageFont.load_default(13), anchor="lm")
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (GAP + column * (PANEL_SIZE + GAP), top))
        top += height + GAP
    for line in legend_lines:
        for left, text, colour in line:
            draw.rectangle((left, top + 4, left + 11, top + 15), fill=colour, outline=TEXT_COLOUR)
            draw.text((left + 17, top + 10), text, fill=TEXT_COLOUR, font=ImageFont.load_default(13), anchor="lm")
        top += LINE_HEIGHT
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())


def _legend_lines(legend: Sequence[tuple[str, str]], width: int) -> list[list[tuple[float, str, str]]]:
    """Legend entries broken into lines of at most ``width`` pixels: left edge, label, colour."""
    font = ImageFont.load_default(13)
    lines: list[list[tuple[float, str, str]]] = []
    left = float(width)
    for name, colour in legend:
        text = shorten(name, 24)
        entry_width = font.getlength(text) + 17 + 2 * GAP
        if not lines or left + entry_width > width:
            lines.append([])
            left = GAP
        lines[-1].append((left, text, colour))
        left += entry_width
    return lines
