"""How a person's images are read for a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from visionkit.data.image_error import ImageAdvice

if TYPE_CHECKING:
    from visionkit.data.images import ImageReader
    from visionkit.inference.base import Inference

__all__ = ["adapt_reader"]


def adapt_reader(reader: ImageReader, inference: Inference) -> ImageReader:
    """The reader of the images of the training, with the user's limit and with advice for predictions.

    Args:
        reader: In the channels of the training, and in the range of values of `Inference.value_range`.
        inference: The model, and the user's options.
    """
    by_windows = "Look at it by windows: window=auto. " if inference.has_windows else ""
    advice = ImageAdvice(
        limit="max_pixels={limit}",
        too_large=f"{by_windows}Make it smaller, or read it whole: max_pixels={{pixels}}",
        channels="the model was trained on images of {channels}",
        other_bands="Expected images like those of the training. Convert it, or train on images of {bands}.",
    )
    return replace(reader, max_pixels=inference.options.max_pixels or reader.max_pixels, advice=advice)
