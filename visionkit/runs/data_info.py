"""The values of a run's ``data.json``, which may come from a stranger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder
from visionkit.schema import describe

__all__ = ["check_data_info"]

_MAX_CHANNELS, _MAX_NUMBER = 16, 1e18


def check_data_info(values: Mapping[str, Any], folder: RunFolder) -> None:
    """Check the values of ``data.json``.

    Raises:
        UserError: If one is not what training writes.
    """
    channels = values["in_channels"]
    classes, ids, weights = (values.get(key) for key in ("class_names", "category_ids", "class_weights"))
    names = classes if isinstance(classes, list) else []
    numbers = len(names)
    valid = {
        "class_names": numbers > 0 and all(isinstance(name, str) for name in names),
        "in_channels": type(channels) is int and 1 <= channels <= _MAX_CHANNELS,
        "image_size": _are_numbers(values["image_size"], 2, kind=int, above=0),
        "mean": _are_numbers(values["mean"], channels, above=-math.inf),
        "std": _are_numbers(values["std"], channels, above=0),
        "category_ids": ids is None or _are_numbers(ids, numbers, kind=int, above=-math.inf),
        "class_weights": weights is None or _are_numbers(weights, numbers, above=-math.inf),
    }
    low_high = values.get("value_range")
    valid["value_range"] = low_high is None or (
        _are_numbers(low_high, 2, above=-math.inf) and low_high[0] < low_high[1]
    )
    for key, is_valid in valid.items():
        if not is_valid:
            raise UserError(
                f"run: '{folder.data_file}': {key} is {describe(values.get(key))}; it is not the file that train "
                f"wrote. Try another run, or train again: python -m visionkit train run={folder.path}"
            )


def _are_numbers(values: Any, count: Any, *, above: float, kind: type[Any] = float) -> bool:
    """Whether values are a list of ``count`` finite numbers above a limit."""
    kinds = (int,) if kind is int else (int, float)
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in kinds and above < value < _MAX_NUMBER for value in values)
    )
