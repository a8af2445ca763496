"""Plain mappings to typed, frozen dataclasses: the fields of the class are the schema.

Values are read strictly (``"3"`` and ``true`` are no integers); lists stand for tuples,
as in YAML. Every mistake becomes a `UserError` that names place, key and nearest key.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from visionkit.errors import UserError, did_you_mean
from visionkit.registry import Registry

__all__ = ["STRICT", "describe", "parse", "parse_typed"]

STRICT = ConfigDict(extra="forbid", strict=True)
"""Give a dataclass that is a field of another ``__pydantic_config__ = STRICT``."""

T = TypeVar("T")


def parse(cls: type[T], values: Any, *, where: str) -> T:
    """Make an instance of a dataclass from a plain mapping.

    Args:
        cls: A dataclass; its annotations may carry pydantic constraints (``Annotated[int, Field(gt=0)]``).
        values: What was read from a file or the command line.
        where: The place that an error names first, such as ``"recipe"``.

    Raises:
        UserError: If ``values`` is no mapping, has an unknown key, lacks one, or holds a wrong value.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: expected a mapping of keys to values, found {describe(values)}.")
    try:
        text = json.dumps(dict(values))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: only plain values are allowed (numbers, words, lists, mappings): {error}.") from None
    try:
        return _adapter(cls).validate_json(text, strict=True)
    except ValidationError as error:
        raise UserError(_explain(cls, error, where)) from None


def parse_typed(registry: Registry[T], values: Any, *, where: str) -> T:
    """Make an instance of the class that the key ``type`` names, from the other keys.

    Args:
        registry: Where the name is looked up.
        values: A mapping with ``type``; a bare word stands for ``{type: word}``.
        where: The place that an error names first.

    Raises:
        UserError: As `parse`; also if ``type`` is missing or names nothing.
    """
    if isinstance(values, str):
        values = {"type": values}
    if not isinstance(values, Mapping) or not isinstance(values.get("type"), str):
        raise UserError(
            f"{where}: expected a mapping whose 'type' is one of {', '.join(registry.names())}; found {describe(values)}."
        )
    try:
        cls = registry.get(values["type"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return parse(cls, {key: value for key, value in values.items() if key != "type"}, where=where)


def describe(value: Any) -> str:
    """A value as a person would name it in an error message, cut short."""
    if value is None:
        return "nothing (null)"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


@lru_cache(maxsize=None)
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    if not hasattr(cls, "__pydantic_config__"):
        cls.__pydantic_config__ = STRICT
    return TypeAdapter(cls)


def _explain(cls: type[Any], error: ValidationError, where: str) -> str:
    """The first mistake in words; a union reports one per member, and the last member's is no better."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"] if not _is_union_branch(part)]
    place = ".".join([where, *path])
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        parent = ".".join([where, *path[:-1]])
        known = _known_keys(cls, path[:-1])
        return f"{parent}: unknown key '{path[-1]}'.{did_you_mean(path[-1], known)} Known keys: {', '.join(known)}."
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{place}: this key is required and is not given."
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    others = [e["msg"].removeprefix("Input should be ") for e in error.errors() if e["loc"][:1] == first["loc"][:1]]
    if len(others) > 1 and any(_is_union_branch(part) for part in first["loc"]):
        message = " or ".join(dict.fromkeys(others))
    return f"{place}: expected {message}, found {describe(first['input'])}."


def _is_union_branch(part: Any) -> bool:
    """Pydantic names the member of a union inside the location; those names are no keys of ours."""
    return isinstance(part, str) and (
        part in {"int", "float", "str", "bool", "none", "list", "dict"}
        or any(mark in part for mark in "[](),-")
        or part[:1].isupper()
    )


def _known_keys(cls: Any, path: list[str]) -> list[str]:
    for key in path:
        field = next((f for f in dataclasses.fields(cls) if f.name == key), None)
        candidates = [] if field is None else [field.type, *getattr(field.type, "__args__", ())]
        cls = next((c for c in candidates if dataclasses.is_dataclass(c)), None)
        if cls is None:
            return []
    return [field.name for field in dataclasses.fields(cls) if field.init]
