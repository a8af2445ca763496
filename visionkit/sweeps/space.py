"""The search space and the settings of a search: the group ``sweep``, parsed without Optuna."""

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

__all__ = ["Choices", "NumberRange", "SearchSettings", "Space", "check_same", "flatten"]

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Choices:
    """A choice of one value out of several.

    Attributes:
        texts: The values, as they would be typed.
    """

    texts: tuple[str, ...]

    @property
    def probe_values(self) -> tuple[str, ...]:
        """The values to validate before the search: all of them."""
        return self.texts

    @property
    def plain(self) -> dict[str, Any]:
        """The mapping from which `SearchSettings.from_config` reads it."""
        return {"choices": list(self.texts)}


@dataclass(frozen=True, kw_only=True)
class NumberRange:
    """A range of numbers.

    Attributes:
        low: Lower bound, included.
        high: Upper bound, included.
        log: Whether to sample uniformly in the logarithm.
        step: Distance of adjacent values; None for a continuous range.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def is_integer(self) -> bool:
        """Whether only integers are sampled."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @property
    def probe_values(self) -> tuple[str, ...]:
        """The values to validate before the search: the bounds."""
        return repr(self.low), repr(self.high)

    @property
    def plain(self) -> dict[str, Any]:
        """The mapping from which `SearchSettings.from_config` reads it."""
        step = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **({"log": True} if self.log else step)}


Space = Mapping[str, Choices | NumberRange]


@dataclass(frozen=True, kw_only=True)
class _Scalars:
    type: Literal["optuna"]
    trials: Count
    sampler: Literal["tpe", "random"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    pruner: Literal["median", "none"]
    prune_after: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class SearchSettings(_Scalars):
    """Settings of a search.

    Attributes:
        type: The library.
        trials: Total number of runs.
        sampler: ``tpe`` (Bergstra et al. 2011) or ``random``.
        seed: Seed of the sampler.
        pruner: ``median`` ends a run whose best score is worse than the median of the earlier runs' at its epoch.
        prune_after: Epochs after which a run may be pruned.
        space: Dotted keys, or groups, to the values to sample.
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
        scalars = parse(_Scalars, plain, where="sweep")
        return cls(
            space={key: _parse_values(key, value) for key, value in space.items()},
            **{field.name: getattr(scalars, field.name) for field in fields(scalars)},
        )

    @property
    def plain(self) -> dict[str, Any]:
        """The settings that determine the sampled values, as plain values: all but ``trials``."""
        scalars = {name: getattr(self, name) for name in _Scalars.__dataclass_fields__ if name != "trials"}
        return scalars | {"space": {key: values.plain for key, values in self.space.items()}}


def check_same(stored: Any, current: Mapping[str, Any], *, where: str) -> None:
    """Check that a resumed search has the same settings.

    Args:
        stored: The settings in its folder, see `SearchSettings.plain`.
        current: The settings of this command.
        where: The folder, for the error message.

    Raises:
        UserError: For the first key that differs, or if the folder holds no search.
    """
    if not isinstance(stored, Mapping):
        raise UserError(f"resume: '{where}' holds a sweep and no search. Leave sweep=... out, and type -m.")
    before, now = _leaves(stored), _leaves(current)
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) == now.get(key):
            continue
        if key not in before:
            remedy = f"Take it away ('~sweep.{key}', or the word that was typed for it)"
        elif key == "metric":
            remedy = "Choose the task that it had"
        else:
            remedy = f"Type {shlex.quote(f'sweep.{key}={_format_value(before[key])}')}"
        raise UserError(
            f"resume: the search in '{where}' was made with {describe(before.get(key))} for 'sweep.{key}', and now it "
            f"is {describe(now.get(key))}. {remedy} to go on with it, or give the new search a folder of its own, "
            "run_dir=..."
        )


def flatten(space: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten a nested space to dotted keys.

    Raises:
        UserError: If ``space`` is no mapping.
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
    """The settings, with one key for each key of the space."""
    space = plain.get("space") or {}
    return {**plain, **{f"space.{key}": drawn for key, drawn in space.items()}, "space": None}


def _format_value(value: Any) -> str:
    """A value in the grammar of the command line; strings that it would read as other values are quoted."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_format_value(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_format_value, value))}]"
    plain = isinstance(value, str) and (re.fullmatch(r"[A-Za-z_][\w./-]*", value) or _is_json(value))
    return value if plain else json.dumps(value)


def _is_json(text: str) -> bool:
    try:
        return json.dumps(json.loads(text)) == text
    except ValueError:
        return False


def _parse_values(key: str, values: Any) -> Choices | NumberRange:
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
    numbers = parse(NumberRange, values, where=where)
    if not (math.isfinite(numbers.low) and math.isfinite(numbers.high) and numbers.low < numbers.high):
        raise UserError(f"{where}: expected low below high, found {numbers.low} and {numbers.high}.")
    if numbers.log and (numbers.low <= 0 or numbers.step is not None):
        raise UserError(f"{where}: log: true needs low above 0 and no step, found {describe(values)}.")
    if numbers.step is not None and numbers.step <= 0:
        raise UserError(f"{where}.step: expected a number greater than 0, found {numbers.step}.")
    return numbers
