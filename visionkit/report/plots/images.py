"""Grids of images with captions."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from visionkit.report.image_grid import to_bytes
from visionkit.report.plots.figure import save_figure
from visionkit.report.style import ERROR_COLOUR, GRID_COLOUR, TEXT_COLOUR, shorten

__all__ = ["plot_captioned", "plot_images", "plot_predictions"]


def plot_images(images: Any, labels: Sequence[int], class_names: Sequence[str], path: Path, *, title: str) -> None:
    """Draw images with their classes.

    Args:
        images: (N, C, H, W) uint8 or float32 in 0..255, a tensor or an array.
        labels: N class ids.
        class_names: The classes.
        path: The PNG file.
        title: The line above the images.
    """
    captions = [(shorten(class_names[label], 16), TEXT_COLOUR) for label in labels]
    save_figure(_grid(images, captions, title), path)


def plot_predictions(
    images: Any,
    labels: Sequence[int],
    predicted: Sequence[int],
    scores: Sequence[float],
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw images with predicted class and probability; wrong predictions are framed and show the true class.

    Args:
        images: (N, C, H, W) uint8 or float32 in 0..255, a tensor or an array.
        labels: N true class ids.
        predicted: N predicted class ids.
        scores: N probabilities of the predicted class, 0..1.
        class_names: The classes.
        path: The PNG file.
        title: The line above the images.
    """
    captions = []
    for label, prediction, score in zip(labels, predicted, scores, strict=True):
        is_correct = label == prediction
        text = f"{shorten(class_names[prediction], 12)}  {score:.0%}"
        if not is_correct:
            text += f"\nis {shorten(class_names[label], 12)}"
        captions.append((text, TEXT_COLOUR if is_correct else ERROR_COLOUR))
    num_wrong = sum(a != b for a, b in zip(labels, predicted, strict=True))
    save_figure(_grid(images, captions, f"{title}: {num_wrong} of {len(labels)} wrong"), path)


def plot_captioned(images: Any, captions: Sequence[str], wrong: Sequence[bool], path: Path, *, title: str) -> None:
    """Draw images with a text below each.

    Args:
        images: (N, C, H, W) uint8, a tensor or an array.
        captions: N texts of one or two lines.
        wrong: Which of the N are framed as errors.
        path: The PNG file.
        title: The line above the images.
    """
    colours = [ERROR_COLOUR if is_wrong else TEXT_COLOUR for is_wrong in wrong]
    save_figure(_grid(images, list(zip(captions, colours, strict=True)), title), path)


def _grid(images: Any, captions: Sequence[tuple[str, str]], title: str) -> Figure:
    """Images in rows of eight, laid out in inches on a single pair of axes: one pair per image is much slower."""
    pixels = to_bytes(images)  # (N, C, H, W)
    columns = min(8, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    image_width, gap, title_height = 1.2, 0.1, 0.4
    image_height = image_width * pixels.shape[2] / pixels.shape[3]
    caption_height = 0.42 if any("\n" in text for text, _ in captions) else 0.26
    width, height = (image_width + gap) * columns + gap, title_height + (image_height + caption_height) * rows
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(gap, height - title_height / 2, title, va="center", color=TEXT_COLOUR, fontsize=11)
    for index, (image, (text, colour)) in enumerate(zip(pixels, captions, strict=True)):
        row, column = divmod(index, columns)
        left, upper = gap + column * (image_width + gap), height - title_height - row * (image_height + caption_height)
        lower, center = upper - image_height, left + image_width / 2
        shown = image[0] if image.shape[0] < 3 else np.moveaxis(image[:3], 0, -1)
        interpolation = "nearest" if min(shown.shape[:2]) < 96 else "antialiased"
        extent = (left, left + image_width, lower, upper)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=interpolation, extent=extent)
        edge_colour, line_width = (colour, 2.2) if colour == ERROR_COLOUR else (GRID_COLOUR, 0.8)
        frame = Rectangle((left, lower), image_width, image_height, fill=False, color=edge_colour, linewidth=line_width)
        axes.add_patch(frame)
        axes.text(center, lower - 0.05, text, ha="center", va="top", color=colour, fontsize=8)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure
