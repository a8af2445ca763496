"""Data sets and batches: sources list the images of each split, the DataModule turns them into uint8 batches.

Importing this package does not import torch: the public names are resolved on first access.
"""

import importlib
from typing import Any

__all__ = [
    "SOURCES",
    "DataInfo",
    "ImageFiles",
    "InputTransform",
    "VisionDataModule",
    "load_image",
    "parse_source",
    "read_source",
]

_MODULES = {
    "SOURCES": "visionkit.data.sources",
    "DataInfo": "visionkit.data.sources",
    "parse_source": "visionkit.data.sources",
    "read_source": "visionkit.data.sources",
    "ImageFiles": "visionkit.data.images",
    "InputTransform": "visionkit.data.transforms",
    "load_image": "visionkit.data.images",
    "VisionDataModule": "visionkit.data.datamodule",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
