"""What stands for several values, ``seed=0,1`` or ``backbone=glob(resnet*)``, in Hydra's own grammar."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice, product
from typing import Any

from visionkit.cli.overrides import PATH_KEYS, Override
from visionkit.errors import UserError

__all__ = ["NEVER_SWEPT", "Interval", "sweep_values", "combinations", "expand_words"]

LIMIT = 10_000
NEVER_SWEPT = frozenset({"run", "run_dir", "resume", "format", "plugins"})


@dataclass(frozen=True)
class Interval:
    """All numbers between two, of which a search draws some."""

    low: float
    high: float
    log: bool


def sweep_values(word: str, choices: Mapping[str, Sequence[str]]) -> list[str] | Interval | None:
    """The values that one word stands for, as they would be typed.

    Args:
        word: Such as ``"seed=0,1"``.
        choices: Group names to choices, for ``glob(...)``.

    Returns:
        None where the word stands for itself. Keys of paths are swept with ``choice(...)`` alone.

    Raises:
        UserError: If a pattern fits nothing, a value is missing or comes twice, or there are too many.
    """
    typed = Override.read(word)
    if typed is None or typed.delete or not typed.text or typed.key in NEVER_SWEPT or "${" in typed.text:
        return None
    key, text = typed.key, typed.text
    if key in PATH_KEYS and not text.startswith("choice("):
        return None
    override = _parse(text)
    if override is None and text.startswith("choice(") and text.endswith(")"):
        override = _parse(text[len("choice(") : -1])  # Hydra's choice() knows no null; its plain list does
    if override is None and re.fullmatch(r"[^\[\](){}'\"]*", text) and not all(map(str.strip, text.split(","))):
        raise UserError(f"'{word}' has a comma without a value beside it. Give each value once, no spaces: {key}=A,B")
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
            known = ", ".join(choices[key]) if key in choices else f"none: '{key}' is no group"
            raise UserError(f"'{word}' fits no choice. Known: {known}.")
    else:
        values = [str(value) for value in islice(override.sweep_string_iterator(), LIMIT + 1)]
    twice = next((value for value, times in Counter(values).items() if times > 1), None)
    if twice is not None:
        raise UserError(f"'{word}' gives {twice} twice, which would be the same run twice. Give it once.")
    return values


def expand_words(
    words: Sequence[str], choices: Mapping[str, Sequence[str]]
) -> list[tuple[str, str, list[str] | Interval | None]]:
    """Each word with its key and its `sweep_values`.

    Raises:
        UserError: As `sweep_values`; also if a key with several values is given twice.
    """
    read = [(word, override.key if (override := Override.read(word)) else word) for word in words]
    found = [(word, key, sweep_values(word, choices)) for word, key in read]
    keys = [key for _, key in read]
    for _, key, values in found:
        if values is not None and keys.count(key) > 1:
            raise UserError(
                f"'{key}' is swept and given another value too. Give all its values in one word: {key}=A,B,C"
            )
    return found


def combinations(words: Sequence[str], choices: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Each run of a sweep as its swept keys and values: the product, the last word changing fastest.

    Raises:
        UserError: If a word is an interval, a swept key is given twice, or there are too many runs.
    """
    swept: dict[str, list[str]] = {}
    runs = 1
    for word, key, values in expand_words(words, choices):
        if isinstance(values, Interval):
            raise UserError(
                f"'{word}' is an interval, from which a search draws values. Add sweep=optuna, or give the values: "
                f"{key}={values.low:g},{values.high:g}"
            )
        if values is None:
            continue
        swept[key] = values
        runs *= len(values)
        if runs > LIMIT:
            raise UserError(f"the sweep has more than {LIMIT:,} runs, counted up to '{word}'. Give fewer values.")
    return [dict(zip(swept, values, strict=True)) for values in product(*swept.values())]


def _parse(text: str) -> Any:
    """None where the grammar cannot read it: what reads the single value says so better."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return None
