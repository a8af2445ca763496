"""From what was typed to one plain configuration, by itself or laid over that of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.cli.compose import compose
from visionkit.cli.overrides import ParsedOverrides, apply_overrides
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.runs.folder import RunFolder

__all__ = ["parse_boolean", "stored_config", "resolve"]


def resolve(
    typed: ParsedOverrides,
    config_dirs: Sequence[Path],
    *,
    base: Mapping[str, Any] | None = None,
    known: dict[Any, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Group choices, then single values; over a run's configuration where one is given.

    Args:
        typed: What was typed.
        config_dirs: Folders of the user's beside the shipped one.
        base: The configuration of a run.
        known: What choices of groups have given before; many runs of a sweep choose alike.
    """
    known = {} if known is None else known
    plain = deepcopy(dict(base or {}))
    if typed.groups or base is None:
        choice = tuple(typed.groups.items())
        if choice not in known:
            known[choice] = compose(typed.groups, config_dirs=config_dirs)
        chosen = deepcopy(known[choice])
        plain |= chosen if base is None else {group: chosen[group] for group in typed.groups if group in chosen}
    apply_overrides(plain, typed.values)
    return plain


def stored_config(folder: RunFolder, typed: ParsedOverrides) -> dict[str, Any]:
    """A run's configuration. Its plugins are code, and no file makes us run code: they must be typed again.

    Raises:
        UserError: If the run names plugins and the user does not.
    """
    plain = folder.read_config()
    plugins = plain.get("plugins") or []
    if plugins and not any(value.key == "plugins" for value in typed.values):
        names = f"plugins=[{','.join(str(name) for name in plugins)}]"
        raise UserError(
            f"the run '{folder.path}' was made with {names}, and a run folder's code is never run unasked. "
            f"If you trust it, add: {names}"
        )
    return plain


def parse_boolean(text: str, *, key: str) -> bool:
    """``true`` or ``false`` as it was typed, in small or large letters.

    Args:
        text: What was typed.
        key: For the message.

    Raises:
        UserError: If it is neither.
    """
    if text.lower() not in ("true", "false"):
        raise UserError(f"{key}: expected true or false, found '{text}'. Try: {key}=true")
    return text.lower() == "true"
