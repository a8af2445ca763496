"""Whether the files of a run belong together: what its weights were trained with, and what is written beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.runs.later_keys import with_later_keys
from visionkit.schema import describe

__all__ = [
    "CHANGEABLE_ON_RESUME",
    "UNRECORDED",
    "check_recorded_config",
    "check_recorded_data",
    "is_below",
    "leaves",
    "network_config",
]

CHANGEABLE_ON_RESUME = frozenset(
    {
        "callbacks", "dataset.num_workers", "dataset.root", "format", "hardware", "plugins", "recipe.checkpoint_every",
        "recipe.early_stopping", "recipe.epochs", "recipe.max_time", "recipe.on_nan", "recipe.teacher.run",
    }
)  # fmt: skip
"""Keys and sections that a person may change when a run is resumed."""

UNRECORDED = CHANGEABLE_ON_RESUME | {
    "backbone.weights", "dataset.cache_mb", "dataset.file", "debug.epochs", "run_dir", "weights",
}  # fmt: skip
"""Those that may differ from what a checkpoint was trained with."""


def check_recorded_data(recorded: Mapping[str, Any] | None, data: Mapping[str, Any], *, file: Path, run: Path) -> None:
    """Check that ``data.json`` says what the weights of a run were trained with.

    Args:
        recorded: What the file with the weights says; None where it says nothing.
        data: The content of ``data.json``.
        file: The file with the weights.
        run: The folder of the run.

    Raises:
        UserError: For the first difference.
    """
    if recorded is None:
        return
    for key in dict.fromkeys([*recorded, *data]):
        if recorded.get(key) != data.get(key):
            found, expected = _shown(data.get(key), recorded.get(key))
            raise UserError(
                f"run: '{run / 'data.json'}' has {key} {found}, but the weights in '{file}' were trained with "
                f"{expected}. Numbers would mean nothing. Expected the file that the run wrote. Put it back, or train "
                f"again: python -m visionkit train run={run}"
            )


def check_recorded_config(
    recorded: Mapping[str, Any] | None, plain: Mapping[str, Any], *, file: Path, run: Path
) -> None:
    """Check that the configuration of a run is the one that its weights were trained with.

    Args:
        recorded: The configuration, or sections of it, that the file with the weights was trained with; None where it
            says nothing. Other sections are not compared.
        plain: The configuration of the run.
        file: The file with the weights.
        run: The folder of the run.

    Raises:
        UserError: For the first difference in a key that must not differ.
    """
    if not recorded:
        return
    pair = (with_later_keys(recorded), with_later_keys(plain))
    before, now = (dict(leaves({key: values.get(key) for key in recorded})) for values in pair)
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key) and not is_below(key, UNRECORDED):
            found, expected = _shown(now.get(key), before.get(key))
            raise UserError(
                f"{key}: found {found} in '{run / 'config.yaml'}', but the weights in '{file}' were trained with "
                f"{expected}. Expected the configuration of the training. Put the value back; for a new run with this "
                f"one: python -m visionkit train run={run}"
            )


def network_config(plain: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The part of a configuration that says which network has been trained; None without one."""
    if not plain or not all(isinstance(plain.get(key), Mapping) for key in ("task", "backbone", "head")):
        return None
    return {"task": {"name": plain["task"].get("name")}, "backbone": plain["backbone"], "head": plain["head"]}


def is_below(key: str, sections: Collection[str]) -> bool:
    """Whether a dotted key is one of these, or lies below one."""
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys and values of nested mappings; an empty one is a value."""
    if not isinstance(node, Mapping) or (path and not node):
        yield path, list(node) if isinstance(node, tuple) else node
        return
    for key, value in node.items():
        yield from leaves(value, f"{path}.{key}" if path else str(key))


def _shown(one: Any, other: Any) -> tuple[str, str]:
    """Two different values; of two long lists, the first items that differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) > 4:
        index = next(index for index, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
        return f"{describe(one[index])} at {index}", f"{describe(other[index])} there"
    return describe(one), describe(other)
