"""Masks of class ids: as indexed PNG files, and as overlays on images."""

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
from visionkit.report.image_grid import PANEL_SIZE, to_pil_image, write_image_grid

__all__ = ["mask_colours", "plot_masks", "write_mask", "write_overlay"]

BACKGROUND = "background"
MIN_SIZE = 400


def mask_colours(class_names: Sequence[str]) -> list[str]:
    """The colour of each class; a class named "background" is black, and transparent in overlays."""
    return ["#000000" if name == BACKGROUND else class_colour(class_id) for class_id, name in enumerate(class_names)]


def write_mask(mask: Any, colours: Mapping[int, str], path: Path) -> None:
    """Write class ids as an indexed PNG file of 8 bits with a palette.

    Args:
        mask: (H, W) uint8, a tensor or an array.
        colours: The colour of each id; other ids are white.
        path: The PNG file.
    """
    image = Image.fromarray(np.asarray(mask))
    image.putpalette(_palette(colours).tobytes())
    _write(image, path, file_format="PNG")


def write_overlay(image: Any, mask: Any, class_names: Sequence[str], path: Path) -> None:
    """Write an image tinted by its classes at its original size; a small image is enlarged by an integer factor.

    Args:
        image: (C, H, W) uint8, a tensor or an array; one channel is grey, of more the first three are colours.
        mask: (H, W) uint8 class ids.
        class_names: The classes.
        path: A PNG or JPEG file, by its suffix.
    """
    overlay = _overlay(image, mask, class_names)
    factor = math.ceil(MIN_SIZE / max(overlay.size))
    if factor > 1:
        overlay = overlay.resize((overlay.width * factor, overlay.height * factor), Image.Resampling.NEAREST)
    _write(overlay, path, file_format="JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG")


def plot_masks(
    panels: Sequence[tuple[Any, Any]],
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
) -> None:
    """Write images tinted by their classes in rows as one PNG, with a legend of the classes that occur.

    Args:
        panels: Images (C, H, W) uint8 of any sizes, each with a mask (H, W) uint8, or None for the image alone.
        class_names: The classes.
        path: The PNG file.
        title: The line above the images.
        columns: The number of images in a row.
        headings: The headings of the columns.
    """
    pictures, present = [], np.zeros(256, dtype=bool)
    for image, mask in panels:
        picture = to_pil_image(image) if mask is None else _overlay(image, mask, class_names)
        scale = PANEL_SIZE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        pictures.append(picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS))
        present[np.unique(np.asarray(mask)) if mask is not None else []] = True
    legend = [
        (name, colour)
        for class_id, (name, colour) in enumerate(zip(class_names, mask_colours(class_names), strict=True))
        if present[class_id]
    ]
    write_image_grid(pictures, path, title=title, columns=columns, headings=headings, legend=legend)


def _overlay(image: Any, mask: Any, class_names: Sequence[str]) -> Image.Image:
    """An image blended half and half with the colours of its classes, except for background and ignored pixels."""
    ids = np.asarray(mask)
    rgb = np.asarray(to_pil_image(image))  # (H, W, 3)
    colours = _palette(dict(enumerate(mask_colours(class_names))))
    tinted = np.zeros((256, 1), dtype=bool)
    tinted[: len(class_names), 0] = [name != BACKGROUND for name in class_names]
    return Image.fromarray(np.where(tinted[ids], rgb // 2 + colours[ids] // 2, rgb))


def _palette(colours: Mapping[int, str]) -> NDArray[np.uint8]:
    """Red, green and blue of each id, (256, 3)."""
    palette = np.full((256, 3), 255, dtype=np.uint8)
    for class_id, colour in colours.items():
        palette[class_id] = ImageColor.getrgb(colour)[:3]
    return palette


def _write(image: Image.Image, path: Path, *, file_format: str) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, quality=92)
    write_atomic(path, buffer.getvalue())
