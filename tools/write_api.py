"""Writes docs/api.json, the public face of the package with its signatures, or checks that it is up to date.

A change of a signature that people call is a decision: this file changes with it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "docs" / "api.json"
MODULES = ("visionkit", "visionkit.backbones", "visionkit.models")
CLASSES = (
    "visionkit.inference.predictor:Predictor",
    "visionkit.inference.predictions:Prediction",
    "visionkit.inference.predictions:Classification",
    "visionkit.inference.predictions:LabelSet",
    "visionkit.inference.predictions:Detections",
    "visionkit.inference.predictions:Instances",
    "visionkit.inference.predictions:Segmentation",
    "visionkit.inspection.inspection:Inspection",
    "visionkit.metrics.evaluation:Evaluation",
    "visionkit.runs.run:Run",
    "visionkit.sweeps.result:Sweep",
    "visionkit.training.finders.batch_sizes:BatchSizes",
    "visionkit.training.finders.rate_curve:RateCurve",
)
"""What the functions return; their methods are called too."""


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit code 1 if the file is not up to date")
    arguments = parser.parse_args()
    text = json.dumps(public_face(), indent=1) + "\n"
    if not arguments.check:
        FILE.write_text(text)
        return 0
    if FILE.read_text() != text:
        print(f"{FILE.name} is not up to date. If the public face is to change: python tools/write_api.py")
        return 1
    return 0


def public_face() -> dict[str, Any]:
    """Names to signatures, of the modules' public functions, and of the classes with their public members."""
    face: dict[str, Any] = {}
    for module_name in MODULES:
        module = import_module(module_name)
        for name in sorted(module.__all__):
            value = getattr(module, name)
            if callable(value) and not inspect.isclass(value):
                face[f"{module_name}.{name}"] = str(inspect.signature(value))
            else:
                face[f"{module_name}.{name}"] = "class" if inspect.isclass(value) else type(value).__name__
    for place in CLASSES:
        module_name, _, name = place.partition(":")
        face[f"{module_name}.{name}"] = _members(getattr(import_module(module_name), name))
    return face


def _members(kind: type) -> dict[str, str]:
    members = {}
    for name in sorted(dir(kind)):
        value = inspect.getattr_static(kind, name)
        if name.startswith("_") and name not in ("__init__", "__len__", "__iter__", "__getitem__"):
            continue
        if name.startswith("__") and getattr(object, name, None) is value:
            continue
        if isinstance(value, property):
            members[name] = f"property -> {inspect.signature(value.fget).return_annotation}"  # type: ignore[arg-type]
        elif isinstance(value, classmethod | staticmethod):
            members[name] = f"{type(value).__name__} {inspect.signature(value.__func__)}"
        elif callable(value):
            members[name] = str(inspect.signature(value))
    annotations = {n: t for base in reversed(kind.__mro__) for n, t in vars(base).get("__annotations__", {}).items()}
    return members | {name: f"attribute: {t}" for name, t in annotations.items() if not name.startswith("_")}


if __name__ == "__main__":
    sys.exit(main())
