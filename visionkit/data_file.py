"""The file ``data.json`` of a run: the properties of the data that it was trained on. It may come from a stranger."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.files import read_json
from visionkit.schema import describe

__all__ = ["DATA_FILE", "read_data_file"]

DATA_FILE = "data.json"

_KEYS = ("class_names", "in_channels", "image_size", "mean", "std")
_MAX_CHANNELS, _MAX_SIDE, _MAX_NUMBER = 16, 2**20, 1e18


def read_data_file(
    run: Path, *, where: str = "run", advice: str = "", required: Collection[str] = _KEYS
) -> dict[str, Any]:
    """The properties of a run's training data.

    Args:
        run: The folder of the run.
        where: What an error message starts with, such as the key of a configuration.
        advice: What to type instead, for the error messages.
        required: The keys that must be there.

    Returns:
        ``class_names`` list of str, ``in_channels``, ``image_size`` [height, width], ``mean`` and ``std``, one finite
        number per channel, and where they were stored ``class_weights``, ``category_ids`` and ``value_range``.

    Raises:
        UserError: If the file is missing, cannot be read, or is not what training writes.
    """
    file = run / DATA_FILE
    advice = advice or f"Try another run, or train again: python -m visionkit train run={run}"
    if not file.exists():
        raise UserError(f"{where}: '{run}' has no {DATA_FILE}; training never began in it. {advice}")
    values = read_json(file, where=f"{where}: ", advice=advice)
    if not isinstance(values, dict):
        raise UserError(f"{where}: '{file}' holds no mapping; it is not the file that train wrote. {advice}")
    missing = [key for key in required if key not in values]
    if missing:
        raise UserError(f"{where}: '{file}' lacks {', '.join(missing)}; it is not the file that train wrote. {advice}")
    mean = values["mean"]
    checked = {"in_channels": len(mean) if isinstance(mean, list) and mean else 1} | values
    wrong = _first_wrong(checked)
    if wrong is not None:
        raise UserError(
            f"{where}: '{file}': {wrong} is {describe(checked[wrong])}; it is not the file that train wrote. {advice}"
        )
    return values


def _first_wrong(values: Mapping[str, Any]) -> str | None:
    """The first key whose value, where there is one, is not what training writes."""
    channels = values["in_channels"]
    classes, ids, weights = (values.get(key) for key in ("class_names", "category_ids", "class_weights"))
    names = classes if isinstance(classes, list) else []
    numbers = len(names)
    size, low_high = values.get("image_size", ()), values.get("value_range")
    valid = {
        "class_names": numbers > 0 and all(isinstance(name, str) for name in names),
        "in_channels": type(channels) is int and 1 <= channels <= _MAX_CHANNELS,
        "image_size": _are_numbers(size, 2, kind=int, above=0) and max(size) <= _MAX_SIDE,
        "mean": _are_numbers(values["mean"], channels, above=-math.inf),
        "std": _are_numbers(values["std"], channels, above=0),
        "category_ids": ids is None or _are_numbers(ids, numbers, kind=int, above=-math.inf),
        "class_weights": weights is None or _are_numbers(weights, numbers, above=-math.inf),
        "value_range": low_high is None or (_are_numbers(low_high, 2, above=-math.inf) and low_high[0] < low_high[1]),
    }
    return next((key for key, is_valid in valid.items() if key in values and not is_valid), None)


def _are_numbers(values: Any, count: Any, *, above: float, kind: type[Any] = float) -> bool:
    """Whether values are a list of ``count`` finite numbers above a limit."""
    kinds = (int,) if kind is int else (int, float)
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in kinds and above < value < _MAX_NUMBER for value in values)
    )
