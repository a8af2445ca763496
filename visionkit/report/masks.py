"""Masks of class ids: as indexed PNG files, and as overlays on images."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from visionkit.report.image_grid import add_legend, panel_scale, to_pil_image, write_image_grid, write_picture
from visionkit.report.palette import class_colour
from visionkit.report.style import LegendEntry

__all__ = ["draw_overlay", "mask_colours", "mask_legend", "plot_masks", "write_mask", "write_overlay"]

BACKGROUND = "background"
MIN_SIZE = 400
TINT, SHADE_CONTRAST = 0.6, 0.7  # the share of a class's colour, and the contrast left to the image under it


def mask_colours(class_names: Sequence[str]) -> list[str]:
    """The colour of each class; a class named "background" is black, and transparent in overlays."""
    return ["#000000" if name == BACKGROUND else class_colour(class_id) for class_id, name in enumerate(class_names)]


def mask_legend(masks: Sequence[Any], class_names: Sequence[str]) -> list[LegendEntry]:
    """Name and colour of the classes that occur in masks (H, W) uint8, by their ids, without the background."""
    present = np.zeros(256, dtype=bool)
    for mask in masks:
        present |= np.bincount(np.asarray(mask).ravel(), minlength=256) > 0
    entries = zip(class_names, mask_colours(class_names), strict=True)
    return [entry for entry, occurs in zip(entries, present, strict=False) if occurs and entry[0] != BACKGROUND]


def write_mask(mask: Any, colours: Mapping[int, str], path: Path) -> None:
    """Write class ids as an indexed PNG file of 8 bits with a palette.

    Args:
        mask: (H, W) uint8, a tensor or an array.
        colours: The colour of each id; other ids are white.
        path: The PNG file.
    """
    image = Image.fromarray(np.asarray(mask))
    image.putpalette(_palette(colours).tobytes())
    write_picture(image, path)


def draw_overlay(image: Any, mask: Any, class_names: Sequence[str]) -> Image.Image:
    """An image tinted by its classes at its original size, and a legend below; a small one is enlarged.

    Args:
        image: (C, H, W) uint8, a tensor or an array; one channel is grey, of more the first three are colours.
        mask: (H, W) uint8 class ids.
        class_names: The classes.
    """
    overlay = _overlay(image, mask, class_names)
    factor = math.ceil(MIN_SIZE / max(overlay.size))
    if factor > 1:
        overlay = overlay.resize((overlay.width * factor, overlay.height * factor), Image.Resampling.NEAREST)
    return add_legend(overlay, "", mask_legend([mask], class_names))


def write_overlay(image: Any, mask: Any, class_names: Sequence[str], path: Path) -> None:
    """Write the picture of `draw_overlay` as PNG or JPEG, by the suffix."""
    write_picture(draw_overlay(image, mask, class_names), path)


def plot_masks(
    panels: Sequence[tuple[Any, Any]],
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
    columns: int = 4,
    headings: Sequence[str] = (),
    captions: Sequence[str] = (),
) -> None:
    """Write images tinted by their classes in rows as one PNG, with a legend of the classes that occur.

    Args:
        panels: Images (C, H, W) uint8 of any sizes, each with a mask (H, W) uint8, or None for the image alone.
        class_names: The classes.
        path: The PNG file.
        title: The line above the images.
        columns: The number of images in a row.
        headings: The headings of the columns.
        captions: A text below each image.
    """
    pictures = []
    for image, mask in panels:
        picture = to_pil_image(image) if mask is None else _overlay(image, mask, class_names)
        scale = panel_scale(picture.height, picture.width)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        pictures.append(picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS))
    legend = mask_legend([mask for _, mask in panels if mask is not None], class_names)
    write_image_grid(pictures, path, title=title, columns=columns, headings=headings, captions=captions, legend=legend)


def _overlay(image: Any, mask: Any, class_names: Sequence[str]) -> Image.Image:
    """An image with its classes' colours over a grey, weaker copy of it; background and ignored pixels stay.

    Colours would else be mixed with those of the image, and a light blue class in the shade look like a dark blue one.
    """
    ids = np.asarray(mask)
    rgb = np.asarray(to_pil_image(image))  # (H, W, 3)
    colours = _palette(dict(enumerate(mask_colours(class_names))))
    tinted = np.zeros((256, 1), dtype=bool)
    tinted[: len(class_names), 0] = [name != BACKGROUND for name in class_names]
    shades = np.asarray(Image.fromarray(rgb).convert("L"))[..., None].astype(np.float32)  # (H, W, 1)
    shades = 128 + (shades - 128) * SHADE_CONTRAST
    blended = (1 - TINT) * shades + TINT * colours[ids]
    return Image.fromarray(np.where(tinted[ids], blended.astype(np.uint8), rgb))


def _palette(colours: Mapping[int, str]) -> NDArray[np.uint8]:
    """Red, green and blue of each id, (256, 3)."""
    palette = np.full((256, 3), 255, dtype=np.uint8)
    for class_id, colour in colours.items():
        palette[class_id] = ImageColor.getrgb(colour)[:3]
    return palette
