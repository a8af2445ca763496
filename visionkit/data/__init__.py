"""From files to batches: sources say which images there are, the DataModule turns them into uint8 batches.

Importing this package loads no torch; the names below are looked up when they are used.
"""

import importlib
from typing import Any

__all__ = ["SOURCES", "DataInfo", "ImageFiles", "InputTransform", "VisionDataModule", "load_image", "parse_source"]

_HOMES = {
    "SOURCES": "visionkit.data.sources",
    "DataInfo": "visionkit.data.sources",
    "parse_source": "visionkit.data.sources",
    "ImageFiles": "visionkit.data.images",
    "InputTransform": "visionkit.data.transforms",
    "load_image": "visionkit.data.transforms",
    "VisionDataModule": "visionkit.data.datamodule",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
