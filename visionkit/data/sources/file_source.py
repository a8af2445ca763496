"""The base class of data sets of image files, whatever their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from visionkit.data.sources.base import Source

__all__ = ["FileSource"]


@dataclass(frozen=True, kw_only=True)
class FileSource(Source):
    """Image files below a folder.

    Attributes:
        root: The folder of the data set.
        in_channels: The number of channels of an image: 3 decodes RGB, 1 grey.
        val_fraction: The fraction of the training images held out for validation if there is no val split.
        test_fraction: The fraction held out for test if the data set is not divided; 0 makes no test split.
        split_seed: The seed of these random splits; null takes the run's seed.
    """

    root: str | None
    in_channels: Annotated[int, Field(ge=1, le=16)]
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)]
    split_seed: Annotated[int, Field(ge=0)] | None
