"""Images of another kind than those that a run was trained on: refused where their values mean something else."""

from __future__ import annotations

from visionkit.data.image_error import ImageError
from visionkit.data.image_modes import ImageKind
from visionkit.inference.notes import Notes

__all__ = ["check_kind"]

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


def check_kind(
    kind: ImageKind,
    notes: Notes,
    *,
    name: str,
    in_channels: int,
    value_range: tuple[float, float] | None,
    trained_range: tuple[float, float] | None,
) -> None:
    """Note that an image is converted, or refuse it.

    Args:
        kind: Of the image as it is.
        notes: Counts it.
        name: What messages call the image.
        in_channels: The channels of the model.
        value_range: The values that are read as 0 and 255; None if only 8 bits are read.
        trained_range: Those of the images of the training; None for 8 bits.

    Raises:
        ImageError: If it has more than 8 bits and nothing says which of its values are black and white.
    """
    if kind.is_deep and value_range is None:
        values = _TYPES.get(kind.mode, "16 bits" if "16" in kind.mode or kind.mode in ("L", "RGB") else kind.mode)
        example = "[0,1]" if values == "floats" else "[0,65535]"
        raise ImageError(
            f"{name} has values of {values}, and the run was trained on images of 8 bits: which of its values are "
            f"black and white is not known. Convert it to 8 bits, or say them: value_range={example}"
        )
    if not kind.is_deep and trained_range is not None:
        low, high = trained_range
        notes.add("image-depth", name, low=f"{low:g}", high=f"{high:g}")
    found = _conversion(kind, in_channels)
    if found:
        notes.add("image-converted", name, kind=found, channels=_CHANNELS[in_channels])


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
