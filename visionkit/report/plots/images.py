"""Images with a caption each."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from visionkit.report.plots.figure import save_figure
from visionkit.report.style import FAINT, INK, WRONG, short

__all__ = ["plot_images", "plot_predictions"]


def plot_images(images: Any, labels: Sequence[int], class_names: Sequence[str], path: Path, *, title: str) -> None:
    """Draw images with the class each of them has.

    Args:
        images: (N, C, H, W) uint8, a tensor or an array.
        labels: N class ids.
        class_names: Their names.
        path: Where the PNG goes.
        title: The line above.
    """
    captions = [(short(class_names[label], 16), INK) for label in labels]
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
    """Draw images with the predicted class and its probability; a wrong one is framed and names the true class.

    Args:
        images: (N, C, H, W) uint8, a tensor or an array.
        labels: N true class ids.
        predicted: N predicted class ids.
        scores: N probabilities of the predicted class, 0..1.
        class_names: The names of the classes.
        path: Where the PNG goes.
        title: The line above.
    """
    captions = []
    for label, guess, score in zip(labels, predicted, scores, strict=True):
        right = label == guess
        text = f"{short(class_names[guess], 12)}  {score:.0%}"
        captions.append((text if right else f"{text}\nis {short(class_names[label], 12)}", INK if right else WRONG))
    wrong = sum(a != b for a, b in zip(labels, predicted, strict=True))
    save_figure(_grid(images, captions, f"{title}: {wrong} of {len(labels)} wrong"), path)


def _grid(images: Any, captions: Sequence[tuple[str, str]], title: str) -> Figure:
    """Images in rows of eight, laid out here in inches: axes for each would cost more than training a small net."""
    pixels = np.asarray(images)  # (N, C, H, W)
    columns = min(8, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    across, gap, top = 1.2, 0.1, 0.4
    tall = across * pixels.shape[2] / pixels.shape[3]
    below = 0.42 if any("\n" in text for text, _ in captions) else 0.26
    width, height = (across + gap) * columns + gap, top + (tall + below) * rows
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(gap, height - top / 2, title, va="center", color=INK, fontsize=11)
    for place, (image, (text, colour)) in enumerate(zip(pixels, captions, strict=True)):
        left, upper = gap + place % columns * (across + gap), height - top - place // columns * (tall + below)
        shown = image[0] if image.shape[0] == 1 else np.moveaxis(image[:3], 0, -1)
        smooth = "nearest" if min(shown.shape[:2]) < 96 else "antialiased"
        extent = (left, left + across, upper - tall, upper)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=smooth, extent=extent)
        line, thick = (colour, 2.2) if colour == WRONG else (FAINT, 0.8)
        axes.add_patch(Rectangle((left, upper - tall), across, tall, fill=False, color=line, linewidth=thick))
        axes.text(left + across / 2, upper - tall - 0.05, text, ha="center", va="top", color=colour, fontsize=8)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure
