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
        int8: Whether its layers compute with 8-bit numbers.
    """

    to: str = "onnx"
    decode: bool = True
    size: Size | None = None
    int8: bool = False

    @property
    def folder_name(self) -> str:
        """Of the folder of the files, among the exports of a run; files that stand for the run have the plain name."""
        name = f"{self.to}-int8" if self.int8 else self.to
        if self.size is not None:
            name += "-dynamic" if self.size == "dynamic" else f"-{self.size[0]}x{self.size[1]}"
        return name if self.decode else f"{name}-raw"

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> ExportOptions:
        """Parse and validate the user's options; other keys are ignored.

        Raises:
            UserError: If a value is invalid, or the format has no such option.
        """
        to = options.get("to", "onnx")
        if to not in FORMATS:
            hint = " Type: to=onnx int8=true" if "int8" in str(to) else did_you_mean(str(to), FORMATS)
            raise UserError(f"to: found {describe(to)}.{hint} Expected one of: {', '.join(FORMATS)}.")
        for key in ("decode", "int8"):
            if not isinstance(options.get(key, True), bool):
                raise UserError(f"{key}: expected true or false, found {describe(options[key])}. Try: {key}=true")
        size = _parse_size(options["size"]) if "size" in options else None
        parsed = cls(to=to, decode=options.get("decode", True), size=size, int8=options.get("int8", False))
        if to == "safetensors" and (size is not None or not parsed.decode):
            key = "decode" if size is None else "size"
            raise UserError(
                f"{key}: to=safetensors writes the weights, which take images of any size that the network takes and "
                f"give what it gives. Leave {key}= out, or try to=onnx"
            )
        if parsed.int8:
            parsed._check_int8()
        return parsed

    def _check_int8(self) -> None:
        """Check that the other options allow a file of 8 bits.

        Raises:
            UserError: If one does not.
        """
        if self.to != "onnx":
            raise UserError(
                f"int8=true makes a file of onnxruntime, found to={self.to}. Expected to=onnx. Try: to=onnx int8=true"
            )
        if not self.decode:
            raise UserError(
                "int8=true is judged by the task's metric, which needs predictions, found decode=false. Leave "
                "decode=false away: the raw outputs are in the file too"
            )
        if self.size is not None:
            raise UserError(
                "int8=true is judged by the task's metric on images of the run's own size, found size= too. Leave "
                "size= away, or train at that size: dataset.image_size=..."
            )


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
