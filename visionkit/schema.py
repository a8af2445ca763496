"""Parses plain mappings into typed dataclasses, whose fields are the schema.

Values are read strictly (``"3"`` and ``true`` are not integers); lists stand for tuples, as in YAML. Every mistake is a
`UserError` that names its location, the key and the nearest valid key.
"""

import contextlib
import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from visionkit.errors import MissingKeyError, UnknownKeyError, UserError
from visionkit.registry import Registry

__all__ = [
    "STRICT",
    "Registered",
    "describe",
    "nested_errors",
    "parse",
    "parse_typed",
    "quote",
]

STRICT = ConfigDict(extra="forbid", strict=True)
"""The value of ``__pydantic_config__`` for a dataclass that is the type of another one's field."""

T = TypeVar("T")


def parse(cls: type[T], values: Any, *, where: str) -> T:
    """Create an instance of a dataclass from a plain mapping.

    Args:
        cls: A dataclass; its annotations may carry pydantic constraints (``Annotated[int, Field(gt=0)]``).
        values: A mapping from a file or the command line.
        where: The location that an error message starts with, such as ``"recipe"``.

    Raises:
        UserError: If ``values`` is no mapping, has an unknown key, lacks a key, or has a wrong value.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: expected a mapping of keys to values, found {describe(values)}.")
    try:
        text = json.dumps(dict(values))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: only plain values are allowed (numbers, words, lists, mappings): {error}.") from None
    try:
        instance: T = _adapter(cls).validate_json(text, strict=True)  # type: ignore[arg-type]
    except ValidationError as error:
        raise _explain(cls, error, where) from None
    return instance


def parse_typed(registry: Registry[T], values: Any, *, where: str) -> T:
    """Create an instance of the class that the key ``type`` names, from the other keys.

    Args:
        registry: Where the name is looked up.
        values: A mapping with ``type``; a string stands for ``{type: string}``.
        where: The location that an error message starts with.

    Raises:
        UserError: As `parse`; also if ``type`` is missing or is not registered.
    """
    if isinstance(values, str):
        values = {"type": values}
    if not isinstance(values, Mapping) or not isinstance(values.get("type"), str):
        raise UserError(
            f"{where}: expected a mapping whose 'type' is one of {', '.join(registry.names())}; "
            f"found {describe(values)}."
        )
    try:
        cls = registry.get(values["type"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return parse(cls, {key: value for key, value in values.items() if key != "type"}, where=where)


@dataclasses.dataclass(frozen=True)
class Registered:
    """Marks a field whose value is a registered class's: ``neck: Annotated[NeckSpec, Registered(NECKS)]``.

    In a configuration it is a mapping with ``type``, or a name alone.

    Attributes:
        registry: Where ``type`` is looked up.
    """

    registry: Registry[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._parse)

    def _parse(self, value: Any) -> Any:
        with nested_errors():
            return parse_typed(self.registry, value, where="")


@contextlib.contextmanager
def nested_errors() -> Iterator[None]:
    """Turns errors of `parse` and `parse_typed` with ``where=""`` into those of a field that is being validated."""
    try:
        yield
    except UserError as error:
        text = str(error)
        names_key = re.match(r"[\w.]+: ", text)
        raise ValueError(f".{text}" if names_key else text.removeprefix(": ")) from error


_MAX_DESCRIBED = 60


def describe(value: Any) -> str:
    """A value as JSON for an error message, at most 60 characters, whatever its size or depth.

    Control characters are escaped; of a number of thousands of digits their count is said.
    """
    if value is None:
        return "nothing (null)"
    text = ""
    for piece in _json_pieces(value):
        text += piece
        if len(text) > _MAX_DESCRIBED:
            return text[: _MAX_DESCRIBED - 3] + "..."
    return text


def quote(text: str) -> str:
    """A word in single quotes for an error message, shortened and escaped as by `describe`."""
    return "'" + describe(text)[1:].removesuffix('"') + "'"


def _json_pieces(value: Any) -> Iterator[str]:
    """The JSON of a value in pieces, at least one for each level, so that no more is made than is read."""
    if isinstance(value, Mapping):
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield ", " if number else ""
            yield _json_text(key if isinstance(key, str) else _json_scalar(key))
            yield ": "
            yield from _json_pieces(item)
        yield "}"
    elif isinstance(value, (list, tuple)):
        yield "["
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _json_pieces(item)
        yield "]"
    else:
        yield _json_scalar(value)


def _json_scalar(value: Any) -> str:
    if isinstance(value, str):
        return _json_text(value)
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {int(value.bit_length() * math.log10(2)) + 1:,} digits"
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return _json_text(str(value[:_MAX_DESCRIBED] if isinstance(value, (bytes, bytearray)) else value))


def _json_text(text: str) -> str:
    quoted = json.dumps(text[: _MAX_DESCRIBED + 1], ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    if not hasattr(cls, "__pydantic_config__"):
        cls.__pydantic_config__ = STRICT
    return TypeAdapter(cls)


_UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")
_PHRASES = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a word",
    "a valid boolean": "true or false",
    "a valid array": "a list",
    "a valid tuple": "a list",
    "an object": "a mapping of keys to values",
}


def _explain(cls: type[Any], error: ValidationError, where: str) -> UserError:
    """The error of the first mistake, unknown keys before others; of a union, what each member expects."""
    found = [_of_whole_list(e, error) for e in error.errors(include_url=False)]
    errors = sorted(found, key=lambda e: e["type"] not in _UNKNOWN_KEY)
    first = errors[0]
    path = _path(first)
    parent, location = (".".join(filter(None, [where, *part])) for part in (path[:-1], path))
    if first["type"] in _UNKNOWN_KEY:
        return UnknownKeyError(path[-1], parent=parent, known=_field_names(cls, path[:-1]), shown=quote(path[-1]))
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return MissingKeyError(path[-1], parent=parent)
    if first["type"] == "value_error":
        cause = first["ctx"]["error"].__cause__
        if isinstance(cause, MissingKeyError | UnknownKeyError):
            return cause.within(location)
        message = first["msg"].removeprefix("Value error, ")
        return UserError(f"{location}{message}" if message.startswith(".") else f"{location}: {message}")
    at_path = [e for e in errors if _path(e) == path or _path(e)[: len(path)] == path]
    is_length = any(e["type"] == "list_length" for e in at_path)
    specific = [e for e in at_path if is_length or not e["type"].endswith("_type")] or at_path
    messages = dict.fromkeys(_bounds(cls, path, e) or _phrase(e["msg"]) for e in specific)
    return UserError(f"{location}: expected {' or '.join(messages)}, found {describe(specific[0]['input'])}.")


def _of_whole_list(error: Any, all_errors: ValidationError) -> Any:
    """An error about a value that a list of fixed length lacks, or has too many, as one about the whole list."""
    last = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "missing" and isinstance(last, int):
        location = error["loc"][:-1]
        lacking = [e["loc"][-1] for e in all_errors.errors(include_url=False) if e["loc"][:-1] == location]
        length = 1 + max(index for index in lacking if isinstance(index, int))
    elif error["type"] == "too_long" and error["ctx"]["field_type"] == "Tuple":
        location, length = error["loc"], error["ctx"]["max_length"]
    else:
        return error
    return {"type": "list_length", "loc": location, "msg": f"a list of {length} values", "input": error["input"]}


def _path(error: Any) -> list[str]:
    *parents, last = error["loc"] or ("",)
    path = [str(part) for part in parents if not _is_union_branch(part)]
    is_key = error["type"] in _UNKNOWN_KEY  # one of the user's, which may look like the member of a union
    return [*path, str(last)] if last != "" and (is_key or not _is_union_branch(last)) else path


def _phrase(message: str) -> str:
    message = message.removeprefix("Input should be ")
    if message.startswith(("greater", "less")):
        return f"a number {message}"
    return _PHRASES.get(message, message)


def _bounds(cls: Any, path: list[str], error: Any) -> str:
    """Both bounds of a number that is beyond one of them; empty if it has one alone, or is not beyond it."""
    if not error["type"].startswith(("greater_than", "less_than")):
        return ""
    hint: Any = cls
    for key in path:
        parts = [hint, *get_args(hint), *(inner for part in get_args(hint) for inner in get_args(part))]
        kind = next((part for part in parts if isinstance(part, type) and dataclasses.is_dataclass(part)), None)
        hint = hint if kind is None else get_type_hints(kind, include_extras=True).get(key)
    marks = [mark for field in _field_marks(hint) for mark in field.metadata]
    found = [[m for m in marks if isinstance(m, kinds)] for kinds in ((Gt, Ge), (Lt, Le))]
    if any(len(set(of_side)) != 1 for of_side in found):
        return ""
    low: Any = found[0][0]
    high: Any = found[1][0]
    end = f"less than {high.lt}" if isinstance(high, Lt) else f"at most {high.le}"
    if isinstance(low, Gt):
        return f"a number greater than {low.gt} and {end}"
    return (
        f"a number from {low.ge} to {high.le}" if isinstance(high, Le) else f"a number of at least {low.ge} and {end}"
    )


def _field_marks(hint: Any) -> Iterator[FieldInfo]:
    for part in get_args(hint):
        if isinstance(part, FieldInfo):
            yield part
        else:
            yield from _field_marks(part)


def _is_union_branch(part: Any) -> bool:
    """Whether a part of Pydantic's location is the member of a union, which is no key of the configuration."""
    return isinstance(part, str) and (
        part in {"int", "float", "str", "bool", "none", "list", "dict"}
        or any(character in part for character in "[](),-")
        or part[:1].isupper()
    )


def _field_names(cls: Any, path: list[str]) -> list[str]:
    for key in path:
        hint = get_type_hints(cls).get(key)
        cls = next((kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)), None)
        if cls is None:
            return []
    return [field.name for field in dataclasses.fields(cls) if field.init]
