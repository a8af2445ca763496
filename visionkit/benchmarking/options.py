"""The options of the verb ``benchmark``, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.errors import UserError, did_you_mean
from visionkit.runs.exports import EAGER, FILE_ENGINES
from visionkit.schema import describe, parse
from visionkit.sizes import ImageSize

__all__ = ["ENGINES", "BenchmarkOptions", "read_options"]

ENGINES = (EAGER, "compile", *FILE_ENGINES)
"""What can run a model: torch, torch.compile, and onnxruntime with the file of an export."""

_MAX_BATCH = 4096


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """What is measured.

    Attributes:
        engines: Of `ENGINES`.
        batch: Numbers of images that are predicted together.
        image_size: None for that of the training, or of the backbone's file.
        num_classes: Of networks without a run; None for those of the data set, or ten.
        split: Whose images are predicted, and scored.
        accuracy: Whether the task's metric is measured on the split.
        memory: Whether memory is measured, in a process for each engine.
        seconds: For which each engine is timed at each batch.
        threads: Of torch and of onnxruntime; None for one per core that the process may use.
        format: Of what is printed.
    """

    engines: tuple[str, ...] = ("eager", "onnx")
    batch: tuple[int, ...] = (1, 8)
    image_size: ImageSize | None = None
    num_classes: Annotated[int, Field(gt=0, le=65_536)] | None = None
    split: Literal["train", "val", "test"] = "val"
    accuracy: bool = True
    memory: bool = True
    seconds: Annotated[float, Field(gt=0, le=3600)] = 3.0
    threads: Annotated[int, Field(gt=0, le=1024)] | None = None
    format: Literal["text", "json"] = "text"


def read_options(values: Mapping[str, Any]) -> BenchmarkOptions:
    """Check options, of which ``engines`` and ``batch`` are lists in text.

    Args:
        values: As typed; plain values but for those two.

    Raises:
        UserError: If one is wrong.
    """
    read = dict(values)
    if "engines" in values:
        read["engines"] = [_check_engine(word) for word in _items("engines", values["engines"])]
    if "batch" in values:
        read["batch"] = [_read_batch(word) for word in _items("batch", values["batch"])]
    return parse(BenchmarkOptions, read, where="")


def _items(key: str, text: str) -> list[str]:
    """The words of a list, each once.

    Raises:
        UserError: If it is empty or has a word twice.
    """
    words = [word.strip(" '\"") for word in text.strip().removeprefix("[").removesuffix("]").split(",")]
    example = "engines=eager,onnx" if key == "engines" else "batch=1,8"
    if "" in words:
        raise UserError(f"{key}: found '{text}', expected words with commas between. Try: {example}")
    duplicate = next((word for word in words if words.count(word) > 1), None)
    if duplicate is not None:
        raise UserError(f"{key}: '{duplicate}' is named twice. Try: {key}={','.join(dict.fromkeys(words))}")
    return words


def _check_engine(word: str) -> str:
    if word not in ENGINES:
        raise UserError(
            f"engines: found '{word}'.{did_you_mean(word, ENGINES)} Expected some of: {', '.join(ENGINES)}. Try: "
            "engines=eager,onnx"
        )
    return word


def _read_batch(word: str) -> int:
    number = int(word) if word.isdecimal() and len(word) < 10 else 0
    if not 1 <= number <= _MAX_BATCH:
        raise UserError(
            f"batch: found {describe(word)}, expected whole numbers of images from 1 to {_MAX_BATCH:,}. Try: batch=1,8"
        )
    return number
