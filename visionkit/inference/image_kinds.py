"""Images of another kind than those that a run was trained on: refused where their values mean something else."""

from __future__ import annotations

import threading

from visionkit.data.image_error import ImageError
from visionkit.data.image_modes import ImageKind
from visionkit.inference.notes import Notes

__all__ = ["KindCheck"]

_CHANNELS = {1: "one grey channel", 3: "three channels"}
_TYPES = {
    "I": "integers of more than 8 bits",
    "F": "floats",
    "float16": "floats",
    "float32": "floats",
    "float64": "floats",
}
_BY_MODE = {
    "P": "with a palette",
    "CMYK": "of CMYK inks",
    "1": "of 1 bit",
    "LAB": "of LAB colours",
    "HSV": "of HSV colours",
}


class KindCheck:
    """What a reader calls for each image, or for each part of one that is read part by part.

    Args:
        notes: Counts the images of another kind.
        in_channels: The channels of the model.
        value_range: The values that are read as 0 and 255; None if only 8 bits are read.
        trained_range: Those of the images of the training; None for 8 bits.
    """

    def __init__(
        self,
        notes: Notes,
        *,
        in_channels: int,
        value_range: tuple[float, float] | None,
        trained_range: tuple[float, float] | None,
    ) -> None:
        self._notes, self._in_channels = notes, in_channels
        self._value_range, self._trained_range = value_range, trained_range
        self._last = threading.local()
        self._usual = {ImageKind(mode, n, False, False) for mode, n in (("L", 1), ("RGB", 3)) if n == in_channels}

    def begin_image(self) -> None:
        """Let the next call be of another image, which may have the name of the last one."""
        self._last.seen = None

    def __call__(self, kind: ImageKind, name: str) -> None:
        """Note that an image is converted, or refuse it.

        Raises:
            ImageError: If it has more than 8 bits and nothing says which of its values are black and white.
        """
        if (kind in self._usual and self._trained_range is None) or getattr(self._last, "seen", None) == (kind, name):
            return
        self._last.seen = (kind, name)
        if kind.is_deep and self._value_range is None:
            raise _deep_error(kind, name)
        if not kind.is_deep and self._trained_range is not None:
            low, high = self._trained_range
            self._notes.add("image-depth", name, low=f"{low:g}", high=f"{high:g}")
        found = _conversion(kind, self._in_channels)
        if found:
            self._notes.add("image-converted", name, kind=found, channels=_CHANNELS[self._in_channels])


def _deep_error(kind: ImageKind, name: str) -> ImageError:
    values = _TYPES.get(kind.mode, "16 bits" if "16" in kind.mode or kind.mode in ("L", "RGB") else kind.mode)
    example = "[0,1]" if values == "floats" else "[0,65535]"
    return ImageError(
        f"{name} has values of {values}, and the run was trained on images of 8 bits: which of its values are black "
        f"and white is not known. Convert it to 8 bits, or say them: value_range={example}"
    )


def _conversion(kind: ImageKind, in_channels: int) -> str:
    """The kind of an image that is converted; ``""`` for one that is not."""
    if in_channels not in _CHANNELS:
        return ""
    if kind.has_alpha:
        return "with transparency (over white)"
    if kind.mode in _BY_MODE:
        return _BY_MODE[kind.mode]
    if kind.bands in (1, 3) and kind.bands != in_channels:
        return "in grey" if kind.bands == 1 else "in colour"
    return "" if kind.bands == in_channels else f"of {kind.bands} bands"
