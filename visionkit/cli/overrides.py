"""What is typed behind the verb: group choices, values, and the verb's own keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from visionkit.backbones.stem import resolve_stem
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError, did_you_mean

__all__ = ["PATH_KEYS", "Override", "ParsedOverrides", "allow_only", "apply_overrides", "read_value", "parse_overrides"]

PATH_KEYS = frozenset({"dataset.root", "run", "run_dir", "weights", "backbone.weights", "source"})
"""Keys whose values are taken to the letter, whatever signs a path may hold."""

_SEVERAL = ("choice(", "range(", "interval(", "glob(", "tag(", "sort(", "shuffle(")


@dataclass(frozen=True)
class Override:
    """``key=value``, or ``~key`` where ``delete``; ``text`` is the value as it was typed."""

    key: str
    text: str = ""
    delete: bool = False

    @classmethod
    def read(cls, word: str) -> Override | None:
        """What a word says, a leading ``+`` being Hydra's way to say the same; None where it is no override."""
        key, equals, text = word.lstrip("+~").partition("=")
        if word.startswith("~"):
            return cls(key, delete=True)
        return cls(key, text) if key and equals else None


@dataclass
class ParsedOverrides:
    """The overrides of one command, sorted.

    Attributes:
        groups: Group names to choices, such as ``{"backbone": "resnet18"}``.
        values: Changes of single values, in the order typed.
        options: The verb's own keys, as typed.
    """

    groups: dict[str, str] = field(default_factory=dict)
    values: list[Override] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def parse_overrides(
    arguments: Sequence[str], *, groups: Collection[str], options: Collection[str], verb: str
) -> ParsedOverrides:
    """Sort what was typed; nothing is looked up yet.

    Args:
        arguments: Such as ``["backbone=lenet", "recipe.lr=0.1", "~backbone.stages.layer1.pool"]``.
        groups: Names of the configuration groups.
        options: The verb's own keys.
        verb: For messages.

    Raises:
        UserError: If something is no override.
    """
    typed = ParsedOverrides()
    for argument in arguments:
        override = Override.read(argument)
        if override is None:
            raise UserError(_not_an_override(argument, verb))
        key, text = override.key, override.text
        if override.delete:
            typed.values.append(override)
        elif key in options:
            typed.options[key] = text
        elif key in groups and not text.lstrip().startswith("{"):
            typed.groups[key] = text.strip().strip("'\"")
        else:
            typed.values.append(override)
    return typed


def allow_only(typed: ParsedOverrides, allowed: Collection[str], *, because: str) -> None:
    """Refuse changes that a finished run cannot take.

    Args:
        typed: What was typed.
        allowed: Groups and dotted keys that may change; a group's keys may too.
        because: Why the others may not, for the message.

    Raises:
        UserError: For the first change that is not allowed.
    """
    for key in (*typed.groups, *(value.key for value in typed.values)):
        if not any(key == name or key.startswith(f"{name}.") for name in allowed):
            raise UserError(f"{because}, and '{key}' would change it. What may change: {', '.join(sorted(allowed))}.")


def apply_overrides(config: dict[str, Any], overrides: Sequence[Override]) -> None:
    """Change a configuration in place, in the order typed; a mapping given whole replaces what was there.

    The choice of a stem comes first: it changes layers, and what is typed of these is to stay.

    Raises:
        UserError: If a key lies below a plain value, a value cannot be read, or a deleted key is not there.
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
    place: Any = config
    for depth, parent in enumerate(parents):
        if isinstance(place, dict) and not override.delete and depth > 0 and place.get(parent) is None:
            place[parent] = {}
        place = _step(place, parent, override)
    if not isinstance(place, dict):
        raise UserError(f"'{override.key}': '{'.'.join(parents)}' is {place!r}, a plain value, and has no keys.")
    if not override.delete:
        place[last] = read_value(override)
    elif last in place:
        del place[last]
    else:
        raise UserError(f"'~{override.key}': there is nothing to take away.{did_you_mean(last, place)}")


def read_value(override: Override) -> Any:
    """The value as Hydra's grammar reads it; paths are taken to the letter.

    Raises:
        UserError: If it cannot be read, or stands for several values.
    """
    text = override.text
    if override.key in PATH_KEYS:
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return None if text in ("null", "") else text[1:-1] if quoted else text
    if "${" in text:
        raise UserError(
            f"'{override.key}={text}': interpolations such as ${{...}} are not allowed here; type the value."
        )
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
        several = text.lstrip().startswith(_SEVERAL)
        hint = (
            "Several values are a,b or choice(a,b), range(1,5), glob(resnet*) for a group, and for a search "
            "interval(0.1,1) or tag(log,interval(0.001,0.1)), each in quotes: "
            f"'{override.key}=range(1,5)'"
            if several
            else f"Put words with special signs in two pairs of quotes: '{override.key}=\"...\"'."
        )
        raise UserError(f"'{override.key}={text}' cannot be read: {reason}. {hint}") from None
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list | dict):
        return OmegaConf.to_container(OmegaConf.create(value))
    return value


def _step(place: Any, key: str, override: Override) -> Any:
    if isinstance(place, Mapping) and key in place:
        return place[key]
    if not isinstance(place, Mapping):
        raise UserError(f"'{override.key}': '{key}' lies below {place!r}, a plain value.")
    raise UserError(f"'{override.key}': there is no '{key}'.{did_you_mean(key, place)} Known: {', '.join(place)}.")


def _not_an_override(argument: str, verb: str) -> str:
    if argument in VERBS:
        return f"the verb comes first: python -m visionkit {argument} ..."
    return (
        f"'{argument}' is neither a verb nor key=value. Expected such as backbone=resnet18 or recipe.epochs=5. "
        f"Try: python -m visionkit {verb} --help"
    )
