"""Whether two run folders hold the same run, to the last digit."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

__all__ = ["differences"]

TIMES = {"seconds", "images_per_second", "data_wait", "training_seconds"}
"""Columns and values that say how fast a run was."""

_NOT_COMPARED = {"config.yaml", "environment.json", "log.txt", "notes.json", ".lock"}
"""Files that name the folder, the machine or the time, or tell of the workers and of a resume."""


def differences(found: Path, expected: Path) -> list[str]:
    """What differs between two run folders; empty if they hold the same results.

    Compared are the names of all files, the values in checkpoints, ``metrics.json`` and ``metrics.csv`` without times
    and paths, and the bytes of all others, pictures among them.
    """
    files = dict.fromkeys([*_files(expected), *_files(found)])
    result = []
    for name in sorted(files):
        one, other = found / name, expected / name
        if not (one.exists() and other.exists()):
            result.append(f"{name}: {'missing' if other.exists() else 'left over'}")
        elif name.endswith(".ckpt"):
            result += [f"{name}: {key}" for key in _different_values(_checkpoint(one), _checkpoint(other))]
        elif name == "metrics.json":
            result += [f"{name}: {key}" for key in _different_values(_metrics(one), _metrics(other))]
        elif name == "metrics.csv":
            result += [f"{name}: {key}" for key in _different_values(_history(one), _history(other))]
        elif one.read_bytes() != other.read_bytes():
            result.append(f"{name}: other bytes")
    return result


def _files(folder: Path) -> list[str]:
    names = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    return [name for name in names if name not in _NOT_COMPARED]


def _checkpoint(path: Path) -> dict[str, Any]:
    content = torch.load(path, weights_only=True)
    del content["hyper_parameters"]  # they name the folder and the workers
    return dict(_flatten(content))


def _metrics(path: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in TIMES}


def _history(path: Path) -> dict[str, Any]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        f"row {number}, {key}": value
        for number, row in enumerate(rows)
        for key, value in row.items()
        if key not in TIMES
    }


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys and the leaves of nested mappings and lists."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, f"{prefix}{key}.")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _flatten(item, f"{prefix}{index}.")
    else:
        yield prefix.removesuffix("."), value


def _different_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys([*one, *other]) if not _equal(one.get(key), other.get(key))]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and bool(one == other or (one != one and other != other))
