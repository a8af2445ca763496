"""Pictures with Pillow: images as they are, and sheets of many."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visionkit.files import write_atomic
from visionkit.report.style import INK, short

__all__ = ["PANEL", "as_picture", "write_sheet"]

PANEL, GAP, TOP, LINE = 320, 8, 34, 22


def as_picture(pixels: Any, *, scale: float = 1.0) -> Image.Image:
    """An image (C, H, W) uint8 to be drawn on, in colour; its first channel alone is grey, its first three are colours.

    Args:
        pixels: A tensor or an array.
        scale: What its sides are multiplied by; from 2 on, its pixels stay squares.
    """
    array = np.asarray(pixels)
    plain = array[0] if array.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(array[:3], 0, -1))
    image = Image.fromarray(plain).convert("RGB")
    if scale == 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def write_sheet(
    drawn: Sequence[Image.Image],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
    legend: Sequence[tuple[str, str]] = (),
) -> None:
    """Lay pictures in rows.

    Args:
        drawn: At most `PANEL` pixels wide and high.
        path: Where the PNG goes.
        title: The line above.
        columns: Pictures in a row.
        headings: Words above the columns.
        legend: Words and their colours, below.
    """
    columns = min(columns, len(drawn))
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(panel.height for panel in row) for row in rows]
    top, width = TOP + (TOP - 12 if headings else 0), GAP + columns * (PANEL + GAP)
    below = _legend_lines(legend, width)
    sheet = Image.new("RGB", (width, top + sum(heights) + GAP * len(rows) + LINE * len(below)), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, TOP / 2), title, fill=INK, font=ImageFont.load_default(16), anchor="lm")
    for column, heading in enumerate(headings[:columns]):
        place = (GAP + column * (PANEL + GAP), TOP + 6)
        pen.text(place, heading, fill=INK, font=ImageFont.load_default(13), anchor="lm")
    for row, tall in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (GAP + column * (PANEL + GAP), top))
        top += tall + GAP
    for line in below:
        for left, text, colour in line:
            pen.rectangle((left, top + 4, left + 11, top + 15), fill=colour, outline=INK)
            pen.text((left + 17, top + 10), text, fill=INK, font=ImageFont.load_default(13), anchor="lm")
        top += LINE
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())


def _legend_lines(legend: Sequence[tuple[str, str]], width: int) -> list[list[tuple[float, str, str]]]:
    """Words and colours in lines that fit: left edge, word, colour."""
    font = ImageFont.load_default(13)
    lines: list[list[tuple[float, str, str]]] = []
    left = float(width)
    for name, colour in legend:
        text = short(name, 24)
        wide = font.getlength(text) + 17 + 2 * GAP
        if not lines or left + wide > width:
            lines.append([])
            left = GAP
        lines[-1].append((left, text, colour))
        left += wide
    return lines
