"""What an exported file says of itself: the classes, and how images are read and resized for it.

The file may come from a stranger. What its metadata mean is numbered; keys that this version does not know are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from visionkit.errors import UserError
from visionkit.schema import describe, parse

__all__ = ["EXPORT_FORMAT", "ExportInfo", "Resize", "takes_sizes"]

EXPORT_FORMAT = 1
"""Incremented when metadata of an earlier number would be misread."""

_LENIENT = ConfigDict(extra="ignore", strict=True)
_MAX_TEXT, _MAX_PIXELS = 2**24, 2**28

Side = Annotated[int, Field(ge=1, le=65_536)]
Number = Annotated[float, Field(gt=-1e18, lt=1e18)]
Ratio = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=2**20)]


@dataclass(frozen=True, kw_only=True)
class Resize:
    """The fields of `visionkit.data.InputTransform`."""

    image_size: tuple[Side, Side]
    mode: Literal["resize", "pad", "resize_crop", "letterbox", "resize_pad"]
    native: tuple[Side, Side] | None
    crop_ratio: Ratio
    max_size: Side | None

    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT


@dataclass(frozen=True, kw_only=True)
class ExportInfo:
    """The metadata of an exported file, as in ``classes.json``.

    Attributes:
        format: `EXPORT_FORMAT`.
        task: The name of the task.
        class_names: In the order of the class ids.
        category_ids: The data set's own id of each class.
        in_channels: The channels of an image.
        value_range: The values of images of more than 8 bits or of floats that become 0 and 255, and float32 then; None
            for uint8.
        max_pixels: Larger images are not read whole; None for any size.
        resize: How images are resized.
        dynamic_size: Whether images of any height and width are taken.
        size_multiple: What heights and widths must be multiples of then, other than those of ``resize``.
        batch_size: The images of a batch in prediction.
        max_detections: Of detectors, the most boxes of an image.
        decode: Whether predictions are among the outputs.
        weights: The SHA-256 of the run's file of weights; None if it is of no run.
    """

    format: int
    task: Literal["classify", "multilabel", "detect", "segment", "instance"]
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    category_ids: tuple[int | str, ...]
    in_channels: Annotated[int, Field(ge=1, le=16)]
    value_range: tuple[Number, Number] | None
    max_pixels: Annotated[int, Field(ge=1, le=2**40)] | None
    resize: Resize
    dynamic_size: bool
    size_multiple: Annotated[int, Field(ge=1, le=1024)]
    batch_size: Count
    max_detections: Count | None
    decode: bool
    weights: str | None

    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT

    @property
    def takes_sizes(self) -> bool:
        """Whether the sizes of images without padding are an input."""
        return takes_sizes(self.task)

    @property
    def data(self) -> dict[str, Any]:
        """What predictions ask of a run's ``data.json``."""
        return {
            "class_names": list(self.class_names),
            "category_ids": list(self.category_ids),
            "in_channels": self.in_channels,
            "image_size": list(self.resize.image_size),
            "value_range": None if self.value_range is None else list(self.value_range),
        }

    @classmethod
    def read(cls, text: str, *, file: str) -> ExportInfo:
        """Check the metadata of a file.

        Args:
            text: The JSON.
            file: What messages call the file.

        Raises:
            UserError: If they are not what ``export`` writes, or of another format.
        """
        advice = "Export it again: python -m visionkit export run=FOLDER to=onnx"
        try:
            values = json.loads(text[: _MAX_TEXT + 1])
        except (ValueError, RecursionError) as error:
            reason = "they are nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise UserError(f"the metadata of '{file}' are no JSON: {reason}. {advice}") from None
        if not isinstance(values, Mapping):
            raise UserError(f"the metadata of '{file}' hold {describe(values)}. Expected a mapping. {advice}")
        _check_format(values.get("format"), file=file, advice=advice)
        try:
            info = parse(cls, values, where="")
        except UserError as error:
            raise UserError(
                f"the metadata of '{file}' are not what export writes: {str(error).removeprefix(': ')} {advice}"
            ) from None
        problem = _inconsistency(info)
        if problem:
            raise UserError(f"the metadata of '{file}' do not fit each other: {problem}. {advice}")
        return info


def takes_sizes(task: str) -> bool:
    """Whether images of a task are padded, so that their own sizes are an input of a file."""
    return task not in ("classify", "multilabel")


def _check_format(found: Any, *, file: str, advice: str) -> None:
    if type(found) is int and found > EXPORT_FORMAT:
        raise UserError(
            f"'{file}' was exported by a newer visionkit: its metadata have format {describe(found)}, and this one "
            f"reads {EXPORT_FORMAT}. Try: pip install -U visionkit"
        )
    if type(found) is not int or found != EXPORT_FORMAT:
        what = "no format" if found is None else f"format {describe(found)}"
        raise UserError(
            f"the metadata of '{file}' have {what}, and this visionkit reads {EXPORT_FORMAT}: the file was exported by "
            f"another version. {advice}"
        )


def _inconsistency(info: ExportInfo) -> str:
    """What of the metadata does not fit the rest; empty if all does."""
    if len({*info.class_names}) != len(info.class_names):
        return "a name stands twice among the class_names"
    names, ids = len(info.class_names), len(info.category_ids)
    if names != ids:
        return f"there are {names} class_names, but {ids} category_ids"
    if info.value_range is not None and not info.value_range[0] < info.value_range[1]:
        return f"value_range is {list(info.value_range)}, and black is below white"
    kept = info.resize.crop_ratio**2 if info.resize.mode == "resize_crop" else 1.0
    num_pixels = math.prod(info.resize.image_size) / max(kept, 1e-300)
    if num_pixels > _MAX_PIXELS:
        return f"images would be resized to {num_pixels:.3g} pixels, and at most {_MAX_PIXELS:,} are"
    if info.resize.mode == "resize_pad" and not info.dynamic_size:
        return "resize_pad gives images of many sizes, and the file takes one"
    return ""
