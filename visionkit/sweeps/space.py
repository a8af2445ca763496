"""What a search draws from, and how: the group ``sweep``, read without Optuna."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.errors import UserError
from visionkit.schema import describe, parse

__all__ = ["Choices", "Numbers", "SearchSettings", "Space", "check_same", "flatten"]

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Choices:
    """One of several values.

    Attributes:
        texts: The values, as they would be typed.
    """

    texts: tuple[str, ...]

    @property
    def corners(self) -> tuple[str, ...]:
        """Values that stand for all."""
        return self.texts

    @property
    def plain(self) -> dict[str, Any]:
        """As a file would say it."""
        return {"choices": list(self.texts)}


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A number between two, both included.

    Attributes:
        low: The smallest.
        high: The largest.
        log: Whether its order of magnitude is drawn evenly.
        step: The distance of neighbours; None for any number.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def whole(self) -> bool:
        """Whether whole numbers alone are drawn."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @property
    def corners(self) -> tuple[str, ...]:
        """Values that stand for all."""
        return repr(self.low), repr(self.high)

    @property
    def plain(self) -> dict[str, Any]:
        """As a file would say it."""
        step = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **({"log": True} if self.log else step)}


Space = Mapping[str, Choices | Numbers]


@dataclass(frozen=True, kw_only=True)
class _Values:
    type: Literal["optuna"]
    trials: Count
    sampler: Literal["tpe", "random"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    pruner: Literal["median", "none"]
    prune_after: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class SearchSettings(_Values):
    """How a search is made.

    Attributes:
        type: The library that draws.
        trials: Runs in all.
        sampler: ``tpe`` (Bergstra et al. 2011) or ``random``.
        seed: Of the draws.
        pruner: ``median`` ends a run whose best score is worse than the median of the earlier runs' at its epoch.
        prune_after: Epochs that every run is given.
        space: Dotted keys, or groups, to what is drawn for them.
    """

    space: Space

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> SearchSettings:
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, a wrong value, or an empty space.
        """
        plain = dict(values)
        space = flatten(plain.pop("space", None) or {})
        if not space:
            raise UserError(
                "sweep.space: nothing to search for. Expected keys and what to draw for them, such as "
                "'sweep.space.recipe.lr={low: 0.001, high: 0.1, log: true}' or recipe.epochs=5,10"
            )
        scalars = parse(_Values, plain, where="sweep")
        return cls(
            space={key: _read(key, value) for key, value in space.items()},
            **{field.name: getattr(scalars, field.name) for field in fields(scalars)},
        )

    @property
    def plain(self) -> dict[str, Any]:
        """What decides the draws, as plain values; how many there are does not."""
        scalars = {name: getattr(self, name) for name in _Values.__dataclass_fields__ if name != "trials"}
        return scalars | {"space": {key: values.plain for key, values in self.space.items()}}


def check_same(stored: Any, now: Mapping[str, Any], *, where: str) -> None:
    """Make sure that a search goes on as it was begun.

    Args:
        stored: What its folder says, see `SearchSettings.plain`.
        now: What was typed and read this time.
        where: The folder.

    Raises:
        UserError: Of the first key that differs.
    """
    if not isinstance(stored, Mapping):
        raise UserError(f"resume: '{where}' holds a sweep and no search. Leave sweep=... out, and type -m.")
    then, this = _leaves(stored), _leaves(now)
    for key in dict.fromkeys([*then, *this]):
        if then.get(key) == this.get(key):
            continue
        if key not in then:
            mend = f"Take it away ('~sweep.{key}', or the word that was typed for it)"
        elif key == "metric":
            mend = "Choose the task that it had"
        else:
            mend = f"Type {shlex.quote(f'sweep.{key}={_as_typed(then[key])}')}"
        raise UserError(
            f"resume: the search in '{where}' was made with {describe(then.get(key))} for 'sweep.{key}', and now it is "
            f"{describe(this.get(key))}. {mend} to go on with it, or give the new search a folder of its own, "
            "run_dir=..."
        )


def flatten(space: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted keys, however the mapping is nested, to the mappings that say what is drawn.

    Raises:
        UserError: If it is no mapping.
    """
    if not isinstance(space, Mapping):
        raise UserError(f"sweep.space: expected keys and what to draw for them, found {describe(space)}.")
    flat: dict[str, Any] = {}
    for key, value in space.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and not {"low", "high", "choices", "log", "step"} & set(value):
            flat |= flatten(value, path)
        else:
            flat[path] = value
    return flat


def _leaves(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with a key for each thing that is drawn."""
    space = plain.get("space") or {}
    return {**plain, **{f"space.{key}": drawn for key, drawn in space.items()}, "space": None}


def _as_typed(value: Any) -> str:
    """A plain value in the grammar of the command line; a word that it would take for something else is quoted."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_as_typed(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_typed, value))}]"
    plain = isinstance(value, str) and (re.fullmatch(r"[A-Za-z_][\w./-]*", value) or _is_json(value))
    return value if plain else json.dumps(value)


def _is_json(text: str) -> bool:
    try:
        return json.dumps(json.loads(text)) == text
    except ValueError:
        return False


def _read(key: str, values: Any) -> Choices | Numbers:
    where = f"sweep.space.{key}"
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: expected {{low, high}} or {{choices}}, found {describe(values)}.")
    if set(values) == {"choices"}:
        choices = values["choices"]
        if not isinstance(choices, list) or not choices:
            raise UserError(f"{where}.choices: expected a list of values, found {describe(choices)}.")
        texts = tuple(value if isinstance(value, str) else json.dumps(value) for value in choices)
        if len(set(texts)) < len(texts):
            raise UserError(f"{where}.choices: a value is given twice in {describe(choices)}.")
        return Choices(texts)
    numbers = parse(Numbers, values, where=where)
    if not (math.isfinite(numbers.low) and math.isfinite(numbers.high) and numbers.low < numbers.high):
        raise UserError(f"{where}: expected low below high, found {numbers.low} and {numbers.high}.")
    if numbers.log and (numbers.low <= 0 or numbers.step is not None):
        raise UserError(f"{where}: log: true needs low above 0 and no step, found {describe(values)}.")
    if numbers.step is not None and numbers.step <= 0:
        raise UserError(f"{where}.step: expected a number greater than 0, found {numbers.step}.")
    return numbers
