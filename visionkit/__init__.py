"""visionkit: CNN backbones made of building blocks, for several vision tasks. Importing it does not import torch."""

from importlib import import_module
from typing import Any

__all__ = [
    "Run", "UserError", "__version__", "build", "check", "create_backbone", "create_model", "evaluate", "find_batch",
    "find_lr", "inspect", "list_backbones", "load", "sweep", "train",
]  # fmt: skip

__version__ = "0.1.0"

_MODULES = {
    "Run": "visionkit.runs.run",
    "UserError": "visionkit.errors",
    "build": "visionkit.api",
    "check": "visionkit.api_check",
    "create_backbone": "visionkit.backbones",
    "create_model": "visionkit.models",
    "evaluate": "visionkit.api",
    "find_batch": "visionkit.api_finders",
    "find_lr": "visionkit.api_finders",
    "inspect": "visionkit.api",
    "list_backbones": "visionkit.backbones",
    "load": "visionkit.api",
    "sweep": "visionkit.api",
    "train": "visionkit.api",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'visionkit' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
