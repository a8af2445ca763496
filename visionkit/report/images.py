"""Grids of images with captions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visionkit.report.image_grid import panel_scale, to_bytes, to_pil_image, write_image_grid

__all__ = ["CAPTION_LENGTH", "MAX_IMAGES", "plot_captioned"]

CAPTION_LENGTH = 18
"""Characters that fit below an image."""
MAX_IMAGES = 32
"""Of a sheet of predictions."""
_COLUMNS, _SIZE = 8, 150


def plot_captioned(images: Any, captions: Sequence[str], path: Path, *, title: str, wrong: Sequence[bool] = ()) -> None:
    """Draw images in rows of eight with a text below each.

    Args:
        images: (N, C, H, W) uint8 or float32 in 0..255, a tensor or an array.
        captions: N texts of one or two lines.
        path: The PNG file.
        title: The line above the images.
        wrong: Which of the N are framed as errors; empty where there is nothing to judge.
    """
    pixels = to_bytes(images)
    scale = panel_scale(*pixels.shape[2:], size=_SIZE)
    pictures = [to_pil_image(image, scale=scale) for image in pixels]
    write_image_grid(pictures, path, title=title, columns=_COLUMNS, captions=captions, wrong=wrong)
