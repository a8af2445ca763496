"""Masks of classes: as files of ids with a palette, and laid over images."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from visionkit.files import write_atomic
from visionkit.report.boxes import class_colour
from visionkit.report.sheet import PANEL, as_picture, write_sheet

__all__ = ["mask_colours", "plot_masks", "write_mask", "write_overlay"]

BACKGROUND = "background"
SMALLEST = 400


def mask_colours(class_names: Sequence[str]) -> list[str]:
    """A colour for each class; a class called "background" is black, and left clear where it lies over an image."""
    return ["#000000" if name == BACKGROUND else class_colour(number) for number, name in enumerate(class_names)]


def write_mask(mask: Any, colours: Mapping[int, str], path: Path) -> None:
    """Write class ids as a PNG file of 8 bits whose palette gives each its colour.

    Args:
        mask: (H, W) uint8, a tensor or an array.
        colours: Of the ids; others are white.
        path: Where the file goes.
    """
    image = Image.fromarray(np.asarray(mask))
    image.putpalette(_palette(colours).tobytes())
    _write(image, path, kind="PNG")


def write_overlay(image: Any, mask: Any, class_names: Sequence[str], path: Path) -> None:
    """Write an image tinted by its classes in its own size; a tiny one is enlarged by a whole factor.

    Args:
        image: (C, H, W) uint8, a tensor or an array; the first channel alone is grey, the first three are colours.
        mask: (H, W) uint8 class ids.
        class_names: The classes.
        path: A PNG or JPEG file, by its suffix.
    """
    drawn = _overlay(image, mask, class_names)
    factor = math.ceil(SMALLEST / max(drawn.size))
    if factor > 1:
        drawn = drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST)
    _write(drawn, path, kind="JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG")


def plot_masks(
    panels: Sequence[tuple[Any, Any]],
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
) -> None:
    """Draw images tinted by their classes in rows, and the colours of those that occur below.

    Args:
        panels: Images (C, H, W) uint8 of any sizes, each with a mask (H, W) uint8, or None for the image alone.
        class_names: The classes.
        path: Where the PNG goes.
        title: The line above.
        columns: Images in a row.
        headings: Words above the columns.
    """
    drawn, there = [], np.zeros(256, dtype=bool)
    for image, mask in panels:
        picture = as_picture(image) if mask is None else _overlay(image, mask, class_names)
        scale = PANEL / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        drawn.append(picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS))
        there[np.unique(np.asarray(mask)) if mask is not None else []] = True
    legend = [
        (name, colour)
        for number, (name, colour) in enumerate(zip(class_names, mask_colours(class_names), strict=True))
        if there[number]
    ]
    write_sheet(drawn, path, title=title, columns=columns, headings=headings, legend=legend)


def _overlay(image: Any, mask: Any, class_names: Sequence[str]) -> Image.Image:
    """An image, half of whose colours are those of its classes, but where there is background or an ignored pixel."""
    ids = np.asarray(mask)
    plain = np.asarray(as_picture(image))  # (H, W, 3)
    colours = _palette(dict(enumerate(mask_colours(class_names))))
    tinted = np.zeros((256, 1), dtype=bool)
    tinted[: len(class_names), 0] = [name != BACKGROUND for name in class_names]
    return Image.fromarray(np.where(tinted[ids], plain // 2 + colours[ids] // 2, plain))


def _palette(colours: Mapping[int, str]) -> NDArray[np.uint8]:
    """Red, green and blue of each id, (256, 3)."""
    palette = np.full((256, 3), 255, dtype=np.uint8)
    for number, colour in colours.items():
        palette[number] = ImageColor.getrgb(colour)[:3]
    return palette


def _write(image: Image.Image, path: Path, *, kind: str) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, quality=92)
    write_atomic(path, buffer.getvalue())
