"""The options of ``export``, validated without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe
from visionkit.sizes import IMAGE_SIZE

__all__ = ["FORMATS", "ExportOptions"]

FORMATS = ("onnx", "torch_export", "safetensors")
"""The words of ``to=``."""

Size = tuple[int, int] | Literal["dynamic"]


@dataclass(frozen=True)
class ExportOptions:
    """What is exported.

    Attributes:
        to: One of `FORMATS`.
        decode: Whether the file gives predictions, and not the raw outputs of the head alone.
        size: Height and width in pixels of the images that the file takes, or ``dynamic`` for any; None for those of
            the run.
    """

    to: str = "onnx"
    decode: bool = True
    size: Size | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> ExportOptions:
        """Parse and validate the user's options; other keys are ignored.

        Raises:
            UserError: If a value is invalid, or the format has no such option.
        """
        to, decode = options.get("to", "onnx"), options.get("decode", True)
        if to not in FORMATS:
            raise UserError(
                f"to: found {describe(to)}.{did_you_mean(str(to), FORMATS)} Expected one of: {', '.join(FORMATS)}."
            )
        if not isinstance(decode, bool):
            raise UserError(f"decode: expected true or false, found {describe(decode)}. Try: decode=true")
        if to == "safetensors" and ("size" in options or not decode):
            key = "size" if "size" in options else "decode"
            raise UserError(
                f"{key}: to=safetensors writes the weights, which take images of any size that the network takes and "
                f"give what it gives. Leave {key}= out, or try to=onnx"
            )
        return cls(to=to, decode=decode, size=_parse_size(options["size"]) if "size" in options else None)


def _parse_size(value: Any) -> Size:
    """``dynamic``, or height and width of ``H,W``, ``[H,W]``, or one number for both."""
    if value == "dynamic":
        return "dynamic"
    text = str(value).strip()
    sides: Any = text.removeprefix("[").removesuffix("]").split(",")
    try:
        sides = [int(side) for side in sides]
        size = IMAGE_SIZE.parse(sides[0] if len(sides) == 1 else sides)
    except ValueError:
        raise UserError(
            f"size: found {describe(text)}. Expected height and width in pixels of the images that the file takes, up "
            f"to {IMAGE_SIZE.maximum:,}, or dynamic for any.{did_you_mean(text, ('dynamic',))} Try: size=480,640"
        ) from None
    return size if isinstance(size, tuple) else (size, size)
