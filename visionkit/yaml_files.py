"""Reading YAML of any origin: plain values within bounds, nothing that is run, expanded or guessed. Needs PyYAML alone.

Refused are aliases, tags, merges (``<<``), keys given twice or no words, deep nesting, very many values, numbers of
more than 64 characters, and without quotes the words ``yes``, ``no``, ``on`` and ``off``, which YAML 1.1, and so Hydra,
takes for booleans.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from visionkit.errors import UserError
from visionkit.files import read_text

__all__ = ["MAX_YAML_BYTES", "dump_yaml", "has_interpolation", "load_yaml", "read_yaml"]

MAX_YAML_BYTES = 4 * 1024**2

_MAX_DEPTH = 50
_MAX_NODES = 100_000
_MAX_NUMBER = 64
_CORE = "tag:yaml.org,2002:"


def read_yaml(path: Path, *, where: str = "", as_written: bool = False) -> Any:
    """The content of a YAML file; None if it is empty.

    Args:
        path: The file; UTF-8, or UTF-16 with a byte order mark.
        where: What an error message starts with, such as ``"dataset.file: "``.
        as_written: Whether each scalar is the text that is written, so that ``on``, ``null`` and ``1.0`` stay words;
            an empty value is ``""``.

    Raises:
        UserError: If it cannot be read, is too large, or is not plain YAML; the message names file, line and column.
    """
    try:
        text = read_text(path, max_bytes=MAX_YAML_BYTES)
    except (OSError, UnicodeError) as error:
        raise UserError(f"{where}'{path}' cannot be read: {error}. Expected a YAML file.") from None
    return load_yaml(text, where=f"{where}'{path}'", as_written=as_written)


def load_yaml(text: str, *, where: str, as_written: bool = False) -> Any:
    """The content of a YAML document; None if it is empty.

    Args:
        text: The document.
        where: The location that an error message starts with, such as the path in quotes.
        as_written: As `read_yaml`.

    Raises:
        UserError: If it is not plain YAML; the message names line and column.
    """
    try:
        return yaml.load(text, _WrittenLoader if as_written else _PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
    except ValueError as error:  # such as the number 0x_
        place, problem = "", str(error)
    except RecursionError:
        place, problem = "", "it is nested too deeply"
    raise UserError(f"{where}{place}: not a plain YAML file: {problem}.") from None


def dump_yaml(values: Any, *, one_line: bool = False) -> str:
    """Plain values as YAML that `load_yaml` reads: in their order, without aliases for what occurs twice.

    Args:
        values: Mappings, lists, numbers and words.
        one_line: Whether to write brackets and commas instead of a line for each value, without a line break.
    """
    options: dict[str, Any] = {"default_flow_style": True, "width": math.inf} if one_line else {}
    text: str = yaml.dump(values, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, **options)
    return text.removesuffix("...\n").rstrip("\n") if one_line else text


def has_interpolation(values: Any) -> bool:
    """Whether a key or a value is one of Hydra's interpolations, ``${...}``."""
    if isinstance(values, dict):
        return any(has_interpolation(item) for pair in values.items() for item in pair)
    if isinstance(values, list):
        return any(map(has_interpolation, values))
    return isinstance(values, str) and "${" in values


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    _Base = object


class _Bounded(_Base):
    """What all loaders refuse."""

    _depth = 0
    _count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._count += 1
        if isinstance(event, yaml.AliasEvent):
            raise _error(f"the alias '*{event.anchor:.40}' is not allowed; write the value out", event)
        if event.tag is not None:
            raise _error(f"the tag '{event.tag:.60}' is not allowed; write the plain value", event)
        if self._depth >= _MAX_DEPTH:
            raise _error(f"it is nested too deeply, more than {_MAX_DEPTH} levels", event)
        if self._count > _MAX_NODES:
            raise _error(f"it has more than {_MAX_NODES:,} values", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error("a key must be a word", key)
            if key.value == "<<" and key.style is None:
                raise _error("'<<' is not allowed; write the keys out", key)
            if key.value in keys:
                raise _error(f"the key '{key.value:.60}' is given twice", key)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


class _PlainLoader(_Bounded, yaml.SafeLoader):
    """Loads numbers, booleans, null, words, lists and mappings as Hydra does, which takes ``1e-3`` for a float."""

    def construct_number(self, node: Any) -> Any:
        if len(node.value) > _MAX_NUMBER:
            raise _error(f"a number of {len(node.value):,} characters; expected at most {_MAX_NUMBER}", node)
        is_int = node.tag == f"{_CORE}int"
        return self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)  # type: ignore[no-untyped-call]

    def construct_bool(self, node: Any) -> bool:
        word: str = node.value.lower()
        if word not in ("true", "false"):
            boolean = "true" if word in ("yes", "on") else "false"
            raise _error(f"write {boolean}, or the word in quotes: '{node.value}'", node)
        return word == "true"


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag.removeprefix(_CORE) not in ("timestamp", "value")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(
    f"{_CORE}float", re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
_PlainLoader.add_constructor(f"{_CORE}int", _PlainLoader.construct_number)
_PlainLoader.add_constructor(f"{_CORE}float", _PlainLoader.construct_number)
_PlainLoader.add_constructor(f"{_CORE}bool", _PlainLoader.construct_bool)


class _WrittenLoader(_Bounded, yaml.BaseLoader):
    """Loads each scalar as the text that is written."""


def _error(problem: str, place: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, place.start_mark)
