"""visionkit: CNN backbones made of building blocks, for several vision tasks. Importing it does not import torch."""

from importlib import import_module
from typing import Any

__all__ = ["UserError", "__version__", "create_backbone", "create_model", "list_backbones", "load"]

__version__ = "0.1.0"

_MODULES = {
    "UserError": "visionkit.errors",
    "create_backbone": "visionkit.backbones",
    "create_model": "visionkit.models",
    "list_backbones": "visionkit.backbones",
    "load": "visionkit.api",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'visionkit' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
