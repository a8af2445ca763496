"""Colours of classes, far apart for people with and without colour vision deficiency, and text that is legible on them.

Distances are those of OKLab (Ottosson 2020, "A perceptual color space for image processing"), seen with normal vision
and with simulated protanopia and deuteranopia (Machado, Oliveira and Fernandes 2009, "A physiologically-based model for
simulation of color vision deficiency", table 1, severity 1.0).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_colour", "contrast", "line_colours", "oklab_views", "text_colour"]

# Okabe and Ito 2008, "Color Universal Design", without black; the two blues far from each other.
_FIXED = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#f0e442", "#56b4e9")
_MAX_COLOURS = 256  # beyond, nobody tells them apart, and they repeat
_LEVELS = 13  # per channel, of the colours to choose from
_MIN_LIGHTNESS, _MAX_LIGHTNESS, _MIN_CHROMA = 0.35, 0.9, 0.06  # neither black nor white nor grey
_MAX_LINE_LIGHTNESS = 0.8  # of lines on white

_LMS = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip
_PROTANOPIA = np.array([
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
])  # fmt: skip
_DEUTERANOPIA = np.array([
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
])  # fmt: skip


def class_colour(class_id: int) -> str:
    """The colour of a class id, such as ``"#0072b2"``: the same for any number of classes."""
    index = class_id % _MAX_COLOURS
    return _colours(max(16, 1 << index.bit_length()))[index]


def line_colours(count: int) -> list[str]:
    """Colours for lines on white: those of classes without the light ones."""
    colours = [class_colour(class_id) for class_id in range(min(_MAX_COLOURS, 2 * count + 16))]
    dark = [colour for colour in colours if oklab_views([_rgb(colour)])[0, 0, 0] <= _MAX_LINE_LIGHTNESS]
    return [dark[index % len(dark)] for index in range(count)]


def text_colour(background: str) -> str:
    """Black or white, whichever has the larger contrast with a background: always 4.5 or more."""
    return max("#ffffff", "#000000", key=lambda colour: contrast(colour, background))


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21, as in WCAG 2.2."""
    luminances = [float(_linear(_rgb(colour)) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second)]
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


def oklab_views(colours: Sequence[Sequence[int]] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Lightness, a and b in OKLab of colours, for normal vision, protanopia and deuteranopia.

    Args:
        colours: (N, 3) red, green and blue, 0..255.

    Returns:
        (N, 3, 3): colour, kind of vision, coordinate.
    """
    linear = _linear(np.asarray(colours))
    seen = [linear, *((linear @ matrix.T).clip(0, 1) for matrix in (_PROTANOPIA, _DEUTERANOPIA))]
    return np.stack([np.cbrt(view @ _LMS.T) @ _LAB.T for view in seen], axis=1)


@cache
def _colours(count: int) -> tuple[str, ...]:
    """The first colours; each after the fixed ones is the one farthest from those before, from black and from white."""
    levels = np.linspace(0, 255, _LEVELS).round().astype(np.int64)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    views = oklab_views(candidates)  # (N, 3, 3)
    lightness, chroma = views[:, 0, 0], np.hypot(views[:, 0, 1], views[:, 0, 2])
    usable = (lightness >= _MIN_LIGHTNESS) & (lightness <= _MAX_LIGHTNESS) & (chroma >= _MIN_CHROMA)
    candidates, views = candidates[usable], views[usable]
    chosen = [_rgb(colour) for colour in _FIXED]
    nearest = np.full(len(candidates), np.inf)
    for view in oklab_views([[0, 0, 0], [255, 255, 255], *chosen]):
        nearest = np.minimum(nearest, _distances(views, view))
    while len(chosen) < count:
        index = int(nearest.argmax())
        chosen.append(candidates[index].tolist())
        nearest = np.minimum(nearest, _distances(views, views[index]))
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in chosen[:count])


def _distances(views: NDArray[np.float64], view: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squared distance of each colour to one, in the kind of vision where they are closest."""
    differences = views - view
    smallest: NDArray[np.float64] = np.einsum("nvc,nvc->nv", differences, differences).min(axis=1)
    return smallest


def _rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _linear(rgb: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Linear light 0..1 of sRGB values 0..255."""
    values = np.asarray(rgb) / 255.0
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
