"""Parsing JSON files that may be large, broken, or in a form other than COCO's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from visionkit.data.sources.split_names import FILL_VAL, split_in
from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["MAX_BYTES", "UnannotatedError", "explain_form", "load_json", "parse_coco"]

MAX_BYTES = 1 << 31
"""The size of the largest file that is parsed; its lists take some ten times as much memory."""

_EXPECTED = "Expected COCO's images, annotations and categories."
_OUTLINES = re.compile(rb'"segmentation"\s*:\s*\[[\[\]\d\s.,eE+-]*\]')

_FORMS: Mapping[str, str] = {
    "labelme": "It has a file per image. Try: pip install labelme2coco && labelme2coco FOLDER",
    "VGG Image Annotator (VIA)": "In VIA choose: Annotation, Export Annotations (COCO format)",
    "CreateML": "Export the project in COCO's form, as Roboflow, CVAT and makesense.ai can.",
    "Label Studio": "In Label Studio choose: Export, COCO",
    "Supervisely": "In Supervisely run the app: Export to COCO",
    "COCO's results": "These are a model's predictions. Expected the file of annotations that they were made for.",
    "COCO's panoptic segmentation": "Expected the file of instances, such as annotations/instances_train2017.json.",
}


class UnannotatedError(UserError):
    """A file in COCO's form that lists images and has no list of annotations, as those of tests are published."""


def parse_coco(file: Path, *, with_outlines: bool) -> Mapping[str, Any]:
    """The content of a file in COCO's form, with its lists ``images``, ``annotations`` and ``categories``.

    Args:
        file: The JSON file.
        with_outlines: Whether outlines are needed. Without them, nine tenths of the numbers, parsing is faster.

    Raises:
        UnannotatedError: If it lists images and no annotations.
        UserError: If it cannot be read, or is in another form; the message says what to do with forms that are known.
    """
    content = load_json(file, without=None if with_outlines else _OUTLINES)
    form = explain_form(content)
    if form:
        raise UserError(f"dataset.root: '{file}' is in the form of {form}")
    if not isinstance(content, dict):
        raise UserError(
            f"dataset.root: '{file}' holds {_describe(content)}. Expected a mapping with COCO's images, annotations "
            "and categories."
        )
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            found = ", ".join(map(_describe_key, list(content)[:10])) or "none"
            error = UnannotatedError if key == "annotations" and key not in content else UserError
            raise error(f"dataset.root: '{file}' has no list '{key}'; found the keys {found}. {_EXPECTED}")
    if not content["images"]:
        advice = f" {FILL_VAL}" if "val" in map(split_in, (file.stem, file.parent.name)) else ""
        raise UserError(f"dataset.root: '{file}' lists no images. {_EXPECTED}{advice}")
    return content


def load_json(file: Path, *, without: re.Pattern[bytes] | None = None) -> Any:
    """The content of a JSON file of at most `MAX_BYTES`, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Args:
        file: The file.
        without: What is replaced by an empty ``segmentation`` before parsing.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise UserError(
                f"dataset.root: '{file}' has {size / 2**30:.1f} GiB. Expected at most {MAX_BYTES / 2**30:.0f} GiB. "
                "Divide it, or leave out what no task needs."
            )
        text = file.read_bytes()
        try:  # three times faster than json; it refuses what no UTF-8 is, half characters and deep lists
            return from_json(text if without is None else without.sub(b'"segmentation":[]', text), cache_strings="keys")
        except ValueError:
            return json.loads(text)  # the original text, for an error at its true position
    except RecursionError:
        reason = "its lists are nested too deep"
    except (OSError, ValueError, MemoryError) as error:
        reason = str(error) or type(error).__name__
    raise UserError(f"dataset.root: '{file}' cannot be read as JSON: {reason}. {_EXPECTED}")


def explain_form(content: Any) -> str:
    """The form of annotations that a JSON file has, if it is known and not COCO's, and what to do; else empty."""
    name = _form_of_mapping(content) if isinstance(content, dict) else _form_of_list(content)
    return f"{name}, not of COCO. {_FORMS[name]}" if name else ""


def _form_of_mapping(content: Mapping[str, Any]) -> str:
    first = next(iter(content.values()), None)
    annotations = content.get("annotations")
    if "shapes" in content and ("imagePath" in content or "imageData" in content):
        return "labelme"
    if "_via_img_metadata" in content or (isinstance(first, dict) and {"filename", "regions"} <= first.keys()):
        return "VGG Image Annotator (VIA)"
    if {"objects", "size"} <= content.keys():
        return "Supervisely"
    if isinstance(annotations, list) and annotations and isinstance(annotations[0], dict):
        return "COCO's panoptic segmentation" if "segments_info" in annotations[0] else ""
    return ""


def _form_of_list(content: Any) -> str:
    first = content[0] if isinstance(content, list) and content else None
    keys = first.keys() if isinstance(first, dict) else set()
    if {"image", "annotations"} <= keys:
        return "CreateML"
    if "data" in keys and keys & {"annotations", "completions", "predictions"}:
        return "Label Studio"
    return "COCO's results" if {"image_id", "category_id"} <= keys else ""


def _describe(value: Any) -> str:
    try:
        return describe(value)
    except RecursionError:
        return f"a {type(value).__name__}"


def _describe_key(key: str) -> str:
    return key if len(key) <= 40 else key[:40] + "..."
