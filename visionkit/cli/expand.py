"""Expands overrides with several values, such as ``seed=0,1`` or ``backbone=glob(resnet*)``, by Hydra's grammar."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice, product
from typing import Any

from visionkit.cli.syntax import PATH_KEYS, Override, check_arguments
from visionkit.errors import UserError

__all__ = ["NEVER_SWEPT", "Interval", "sweep_values", "combinations", "expand_overrides"]

MAX_RUNS = 10_000
NEVER_SWEPT = frozenset({"run", "run_dir", "resume", "format", "plugins"})


@dataclass(frozen=True)
class Interval:
    """A range of numbers from which a search samples; ``log`` samples on a logarithmic scale."""

    low: float
    high: float
    log: bool


def sweep_values(argument: str, choices: Mapping[str, Sequence[str]]) -> list[str] | Interval | None:
    """The values that one override stands for, each as it would be typed.

    Args:
        argument: Such as ``"seed=0,1"``.
        choices: Group names to choices, for ``glob(...)``.

    Returns:
        A list of values, an interval, or None for a single value. Keys of paths are swept only by ``choice(...)``.

    Raises:
        UserError: If a pattern matches nothing, or a value is missing or duplicate.
    """
    parsed = Override.parse(argument)
    if parsed is None or parsed.delete or not parsed.text or parsed.key in NEVER_SWEPT or "${" in parsed.text:
        return None
    key, text = parsed.key, parsed.text
    if key in PATH_KEYS and not text.startswith("choice("):
        return None
    override = _parse(text)
    if override is None and text.startswith("choice(") and text.endswith(")"):
        override = _parse(text[len("choice(") : -1])  # Hydra's choice() knows no null; its plain list does
    if override is None and re.fullmatch(r"[^\[\](){}'\"]*", text) and not all(map(str.strip, text.split(","))):
        raise UserError(
            f"'{argument}' has a comma without a value beside it. Give each value once, no spaces: {key}=A,B"
        )
    if override is None or not override.is_sweep_override():
        return None
    from hydra.core.override_parser.types import Glob, IntervalSweep

    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return Interval(sweep.start or 0, sweep.end or 0, "log" in sweep.tags)
    if isinstance(sweep, Glob):
        values = [
            name
            for name in choices.get(key, ())
            if any(fnmatch(name, p) for p in sweep.include) and not any(fnmatch(name, p) for p in sweep.exclude)
        ]
        if not values:
            names = ", ".join(choices[key]) if key in choices else f"none: '{key}' is no group"
            raise UserError(f"'{argument}' fits no choice. Known: {names}.")
    else:
        values = [str(value) for value in islice(override.sweep_string_iterator(), MAX_RUNS + 1)]
    duplicate = next((value for value, count in Counter(values).items() if count > 1), None)
    if duplicate is not None:
        raise UserError(f"'{argument}' gives {duplicate} twice, which would be the same run twice. Give it once.")
    return values


def expand_overrides(
    arguments: Sequence[str], choices: Mapping[str, Sequence[str]]
) -> list[tuple[str, str, list[str] | Interval | None]]:
    """Each argument with its key and its `sweep_values`.

    Raises:
        UserError: As `sweep_values` and `check_arguments`.
    """
    check_arguments(arguments, multirun=True)
    keyed = [(argument, override.key if (override := Override.parse(argument)) else argument) for argument in arguments]
    return [(argument, key, sweep_values(argument, choices)) for argument, key in keyed]


def combinations(arguments: Sequence[str], choices: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The runs of a sweep as mappings of swept keys to values: the product, the last argument varying fastest.

    Raises:
        UserError: If an argument is an interval, a swept key is given twice, or there are more than `MAX_RUNS` runs.
    """
    swept_values: dict[str, list[str]] = {}
    num_runs = 1
    for argument, key, values in expand_overrides(arguments, choices):
        if isinstance(values, Interval):
            raise UserError(
                f"'{argument}' is an interval, from which a search draws values. Add sweep=optuna, or give the values: "
                f"{key}={values.low:g},{values.high:g}"
            )
        if values is None:
            continue
        swept_values[key] = values
        num_runs *= len(values)
        if num_runs > MAX_RUNS:
            raise UserError(
                f"the sweep has more than {MAX_RUNS:,} runs, counted up to '{argument}'. Give fewer values."
            )
    return [dict(zip(swept_values, values, strict=True)) for values in product(*swept_values.values())]


def _parse(text: str) -> Any:
    """Parse a value with Hydra's grammar; None if it cannot be read, which `read_value` then reports."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return None
