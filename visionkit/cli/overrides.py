"""Parses and applies overrides: choices of groups, changes of values, and the options of a verb."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from visionkit.backbones.stem import resolve_stem
from visionkit.cli.foreign_words import check_key
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe

__all__ = ["PATH_KEYS", "Override", "ParsedOverrides", "allow_only", "apply_overrides", "read_value", "parse_overrides"]

PATH_KEYS = frozenset({"dataset.root", "run", "run_dir", "weights", "backbone.weights", "source"})
"""Keys whose values are paths: taken literally, not parsed by Hydra's grammar."""

_SWEEP_FUNCTIONS = ("choice(", "range(", "interval(", "glob(", "tag(", "sort(", "shuffle(")


@dataclass(frozen=True)
class Override:
    """``key=value``, or ``~key`` with ``delete``; ``text`` is the value as typed."""

    key: str
    text: str = ""
    delete: bool = False

    @classmethod
    def parse(cls, argument: str) -> Override | None:
        """Split an argument into key and value, ignoring Hydra's leading ``+``; None if it is no override."""
        key, equals, text = argument.lstrip("+~").partition("=")
        if argument.startswith("~"):
            return cls(key, delete=True)
        return cls(key, text) if key and equals else None


@dataclass
class ParsedOverrides:
    """The overrides of one command, sorted by kind.

    Attributes:
        groups: Group names to choices, such as ``{"backbone": "resnet18"}``.
        values: Changes of single values, in the order typed.
        options: The options of the verb, as typed.
    """

    groups: dict[str, str] = field(default_factory=dict)
    values: list[Override] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def parse_overrides(
    arguments: Sequence[str], *, groups: Collection[str], options: Collection[str], verb: str
) -> ParsedOverrides:
    """Sort overrides by kind, without checking their keys.

    Args:
        arguments: Such as ``["backbone=lenet", "recipe.lr=0.1", "~backbone.stages.layer1.pool"]``.
        groups: Names of the configuration groups.
        options: Names of the options of the verb.
        verb: Name of the verb, for error messages.

    Raises:
        UserError: If an argument is no override.
    """
    parsed = ParsedOverrides()
    for argument in arguments:
        override = Override.parse(argument)
        if override is None:
            raise UserError(_not_an_override(argument, verb))
        key, text = override.key, override.text
        if override.delete:
            parsed.values.append(override)
        elif key in options:
            parsed.options[key] = text
        elif key in groups and not text.lstrip().startswith("{"):
            parsed.groups[key] = text.strip().strip("'\"")
        else:
            if key not in groups:
                check_key(key, text, verb=verb)
            parsed.values.append(override)
    return parsed


def allow_only(parsed: ParsedOverrides, allowed: Collection[str], *, reason: str) -> None:
    """Refuse overrides of keys that must not change for a finished run.

    Args:
        parsed: The overrides.
        allowed: Groups and dotted keys that may change, with all keys below them.
        reason: Why the others must not, the first words of the error message.

    Raises:
        UserError: For the first override that is not allowed.
    """
    for key in (*parsed.groups, *(value.key for value in parsed.values)):
        if not any(key == name or key.startswith(f"{name}.") for name in allowed):
            raise UserError(f"{reason}, and '{key}' would change it. What may change: {', '.join(sorted(allowed))}.")


def apply_overrides(config: dict[str, Any], overrides: Sequence[Override]) -> None:
    """Apply overrides to a configuration in place, in the order typed; a mapping replaces the whole earlier value.

    ``backbone.stem`` is applied first: it replaces layers, whose own overrides must outlast it.

    Raises:
        UserError: If a key is below a plain value, a value cannot be read, or a deleted key does not exist.
    """
    stems = [override for override in overrides if override.key == "backbone.stem"]
    for override in stems:
        _apply(config, override)
    if isinstance(config.get("backbone"), Mapping):
        config["backbone"] = resolve_stem(config["backbone"])
    for override in overrides:
        if override not in stems:
            _apply(config, override)


def _apply(config: dict[str, Any], override: Override) -> None:
    *parents, last = override.key.split(".")
    node: Any = config
    for depth, parent in enumerate(parents):
        if isinstance(node, dict) and not override.delete and depth > 0 and node.get(parent) is None:
            node[parent] = {}
        node = _child(node, parent, override)
    if not isinstance(node, dict):
        raise UserError(f"'{override.key}': '{'.'.join(parents)}' is {describe(node)}, a plain value, and has no keys.")
    if not override.delete:
        node[last] = read_value(override)
    elif last in node:
        del node[last]
    else:
        raise UserError(f"'~{override.key}': there is nothing to take away.{did_you_mean(last, node)}")


def read_value(override: Override) -> Any:
    """The value as Hydra's grammar reads it; paths are taken literally.

    Raises:
        UserError: If it cannot be read, or stands for several values.
    """
    text = override.text
    if "${" in text:
        raise UserError(
            f"'{override.key}={text}': interpolations such as ${{...}} are not allowed here; type the value."
        )
    if override.key in PATH_KEYS:
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        if not quoted and text[:1] in ("'", '"'):
            raise UserError(f"'{override.key}={text}': the quote is not closed. Try: {override.key}={text[1:]}")
        return None if text in ("null", "") else text[1:-1] if quoted else text
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import QuotedString
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    try:
        parsed = OverridesParser.create().parse_override(f"key={text}")
        if parsed.is_sweep_override():
            raise UserError(
                f"'{override.key}={text}' stands for several values, and this is a single run. "
                f"Give one value, a list in brackets ('{override.key}=[{text}]'), or let it be a sweep: "
                f"python -m visionkit -m {override.key}={text}"
            )
        value = parsed.value()
    except HydraException as error:
        reason = str(error).split("\n")[0]
        is_sweep = text.lstrip().startswith(_SWEEP_FUNCTIONS)
        hint = (
            "Several values are a,b or choice(a,b), range(1,5), glob(resnet*) for a group, and for a search "
            "interval(0.1,1) or tag(log,interval(0.001,0.1)), each in quotes: "
            f"'{override.key}=range(1,5)'"
            if is_sweep
            else f"Put words with special signs in two pairs of quotes: '{override.key}=\"...\"'."
        )
        raise UserError(f"'{override.key}={text}' cannot be read: {reason}. {hint}") from None
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list | dict):
        return OmegaConf.to_container(OmegaConf.create(value))
    return value


def _child(node: Any, key: str, override: Override) -> Any:
    if isinstance(node, Mapping) and key in node:
        return node[key]
    if not isinstance(node, Mapping):
        raise UserError(f"'{override.key}': '{key}' lies below {describe(node)}, a plain value.")
    raise UserError(f"'{override.key}': there is no '{key}'.{did_you_mean(key, node)} Known: {', '.join(node)}.")


def _not_an_override(argument: str, verb: str) -> str:
    if argument in VERBS:
        return f"the verb comes first: python -m visionkit {argument} ..."
    return (
        f"'{argument}' is neither a verb nor key=value. Expected such as backbone=resnet18 or recipe.epochs=5. "
        f"Try: python -m visionkit {verb} --help"
    )
