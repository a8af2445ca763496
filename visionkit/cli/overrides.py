"""Parses and applies overrides: choices of groups, changes of values, and the options of a verb."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from visionkit.backbones.stem import resolve_stem
from visionkit.cli.foreign_words import TOP_KEYS, check_key, explain_word
from visionkit.cli.syntax import PATH_KEYS, Override, check_arguments
from visionkit.errors import UserError, did_you_mean
from visionkit.runs.consistency import is_below
from visionkit.schema import describe

__all__ = ["ParsedOverrides", "allow_only", "apply_overrides", "read_value", "parse_overrides"]

_UNCHOSEN = ("experiment", "sweep")
"""Groups without a choice unless one is typed."""

_COMPLETE_GROUPS = ("recipe", "hardware", "debug", "dataset", "head")
"""Groups that have all their keys."""

_NULLABLE = (
    "recipe.early_stopping", "recipe.clip_norm", "recipe.teacher", "dataset.augment", "dataset.root",
    "dataset.image_size",
)  # fmt: skip

_SWEEP_FUNCTIONS = ("choice(", "range(", "interval(", "glob(", "tag(", "sort(", "shuffle(")


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
        UserError: If an argument is no override, lacks its value, or gives a key that another one gives too.
    """
    check_arguments(arguments)
    parsed = ParsedOverrides()
    task = next((argument[5:] for argument in arguments if argument.startswith("task=")), "")
    for number, argument in enumerate(arguments):
        override = Override.parse(argument)
        if override is None:
            raise UserError(explain_word(argument, arguments[number + 1 :], verb=verb))
        key, text = override.key, override.text
        if override.delete:
            _check_deletion(key, groups)
            parsed.values.append(override)
        elif key in options:
            parsed.options[key] = text
        elif key in groups and not text.lstrip().startswith("{"):
            if override.add and key not in _UNCHOSEN:
                raise UserError(f"'{argument}': there is a {key} already, and + adds one. Type {key}={text}")
            parsed.groups[key] = text.strip().strip("'\"")
        else:
            if key not in groups:
                check_key(key, text, verb=verb, task=task)
            parsed.values.append(override)
    return parsed


def allow_only(
    parsed: ParsedOverrides,
    allowed: Collection[str],
    *,
    reason: str,
    instead: str = "",
    options: Collection[str] = (),
) -> None:
    """Refuse overrides of keys that must not change for a finished run.

    Args:
        parsed: The overrides.
        allowed: Groups and dotted keys that may change, with all keys below them.
        reason: Why the others must not, the first words of the error message.
        instead: What to type instead, the last words of the error message; ``{}`` is the override.
        options: Those of the verb, one of which may be meant.

    Raises:
        UserError: For the first override that is not allowed.
    """
    typed = [*parsed.groups.items(), *((value.key, value.text) for value in parsed.values)]
    for key, text in typed:
        if not is_below(key, allowed):
            meant = did_you_mean(key, options)
            may_change = f" What may change: {', '.join(sorted(allowed))}." if allowed else ""
            raise UserError(
                f"{reason}, and '{key}' would change it.{meant}{may_change} "
                + ("" if meant else instead.format(f"{key}={text}"))
            )


def apply_overrides(config: dict[str, Any], overrides: Sequence[Override]) -> None:
    """Apply overrides to a configuration in place, in the order typed; a mapping replaces the whole earlier value.

    ``backbone.stem`` is applied first: it replaces layers, whose own overrides must outlast it.

    Raises:
        UserError: If a key is below a plain value, a value cannot be read, or a deleted key does not exist.
    """
    _check_order(overrides)
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
    if override.delete:
        _delete(node, last, override)
        return
    if override.add and node.get(last) is not None:
        raise UserError(
            f"'+{override.key}={override.text}': there is a value already ({describe(node[last])}), and + adds one. "
            f"Type {override.key}={override.text}"
        )
    node[last] = read_value(override)


def _delete(node: dict[str, Any], key: str, override: Override) -> None:
    if key not in node:
        raise UserError(f"'~{override.key}': there is nothing to take away.{did_you_mean(key, node)}")
    if override.text and node[key] != read_value(replace(override, delete=False)):
        raise UserError(
            f"'~{override.key}={override.text}' takes that value away alone, and it is {describe(node[key])}. "
            f"Type ~{override.key}"
        )
    section = override.key.partition(".")[0]
    if section in _COMPLETE_GROUPS and override.key.count(".") == 1:
        instead = "null" if override.key in _NULLABLE else "VALUE"
        raise UserError(
            f"'~{override.key}': '{key}' is always there, and nothing takes it away. Type {override.key}={instead}, "
            f"or leave it out for what {section} has ({describe(node[key])})"
        )
    del node[key]


def _check_order(overrides: Sequence[Override]) -> None:
    """Refuse a value that a later override of the whole mapping would swallow."""
    for number, later in enumerate(overrides):
        for earlier in overrides[:number]:
            if earlier.key == later.key or earlier.key.startswith(f"{later.key}."):
                names = [("~" if o.delete else "") + o.key + (f"={o.text}" if o.text else "") for o in (earlier, later)]
                raise UserError(
                    f"'{names[1]}' would undo '{names[0]}', which stands before it. Type it first, or give it once."
                )


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

    if text[:1] == "(" and text[-1:] == ")":
        raise UserError(
            f"'{override.key}={text}': a list stands in square brackets. Type '{override.key}=[{text[1:-1]}]'"
        )
    try:
        parsed = OverridesParser.create().parse_override(f"key={text}")
        if parsed.is_sweep_override():
            as_list = "" if "(" in text else f", a list in brackets ('{override.key}=[{text}]')"
            raise UserError(
                f"'{override.key}={text}' stands for several values, and this is a single run. "
                f"Give one value{as_list}, or let it be a sweep: "
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


def _check_deletion(key: str, groups: Collection[str]) -> None:
    """Refuse ``~group`` and ``~key`` of what every run has."""
    nothing = {
        "logger": "none",
        "debug": "none",
        "weights": "null",
        "run_dir": "null",
        "plugins": "[]",
        "callbacks": "[]",
    }
    if key in _UNCHOSEN:
        raise UserError(f"'~{key}': there is no {key} unless one is typed. Leave both out.")
    if key in groups or key in TOP_KEYS:
        raise UserError(
            f"'~{key}': '{key}' is always there, and nothing takes it away. Type {key}={nothing.get(key, 'VALUE')}"
        )
