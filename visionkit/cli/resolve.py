"""Resolves overrides to a plain configuration, starting from the defaults or from the configuration of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.cli.compose import COMPLETED_GROUPS, complete_group, compose, settings_of_group
from visionkit.cli.overrides import ParsedOverrides, apply_overrides, read_value
from visionkit.cli.syntax import Override
from visionkit.config_files import overlay_settings
from visionkit.errors import UserError
from visionkit.text import printable

if TYPE_CHECKING:
    from visionkit.runs.folder import RunFolder

__all__ = ["open_run", "parse_boolean", "stored_config", "resolve"]


def resolve(
    parsed: ParsedOverrides,
    config_dirs: Sequence[Path],
    *,
    base: Mapping[str, Any] | None = None,
    composed: dict[Any, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Compose the chosen groups, then apply changes of single values.

    Args:
        parsed: The overrides.
        config_dirs: Folders of the user's, searched in addition to ``conf/``.
        base: The configuration of a run, which the overrides change; None starts from the defaults.
        composed: A cache from choices of groups to composed configurations, which the runs of a sweep share.
    """
    composed = {} if composed is None else composed
    plain = deepcopy(dict(base or {}))
    if parsed.groups or base is None:
        key = tuple(parsed.groups.items())
        if key not in composed:
            composed[key] = compose(parsed.groups, config_dirs=config_dirs)
        chosen = deepcopy(composed[key])
        if base is None and "dataset" not in parsed.groups:
            _check_kind_of_data(parsed, chosen["dataset"])
        plain |= chosen if base is None else {group: chosen[group] for group in parsed.groups if group in chosen}
    apply_overrides(plain, _begin_groups(plain, parsed.values, config_dirs))
    return plain


def _check_kind_of_data(parsed: ParsedOverrides, dataset: Mapping[str, Any]) -> None:
    """Check that no folder is named without a word on what kind of data set lies in it.

    Raises:
        UserError: If one is, and the data set that is there without a word has no folder.
    """
    typed = {value.key: value for value in parsed.values if not value.delete}
    if "dataset.root" in typed and "root" not in dataset and not {"dataset", "dataset.type"} & typed.keys():
        root = typed["dataset.root"].text.strip("'\"")
        raise UserError(
            f"dataset.root={root}: which kind of data set lies there is not said. Type dataset=folder "
            f"dataset.root={root} (or coco, voc, yolo ... instead of folder, by how its annotations are written)"
        )


def _begin_groups(plain: dict[str, Any], values: Sequence[Override], config_dirs: Sequence[Path]) -> list[Override]:
    """Apply the last ``head={...}`` or ``head.type=``, which begin a group anew; the overrides that are left.

    They are applied first, as the keys below them belong to that type.
    """
    beginnings: dict[str, Override] = {}
    remaining = []
    for value in values:
        group, _, key = value.key.partition(".")
        if group in COMPLETED_GROUPS and key in ("", "type") and not value.delete:
            beginnings[group] = value
        else:
            remaining.append(value)
    for group, value in beginnings.items():
        content = read_value(value)
        plain[group] = complete_group(group, {"type": content} if "." in value.key else content, config_dirs)
    return [override for value in remaining for override in _expand_settings(plain, value)]


def _expand_settings(plain: dict[str, Any], value: Override) -> list[Override]:
    """``head.neck={num_levels: 3}`` as ``head.neck.num_levels=3``, so that the neck's other keys stay.

    Another type, as in ``head.neck.type=mine`` or ``recipe.optimizer=adam``, begins the settings anew and is applied at
    once.
    """
    group, _, path = value.key.partition(".")
    key, _, rest = path.partition(".")
    section = plain.get(group)
    if value.delete or not isinstance(section, dict) or not section.get(key):
        return [value]
    nested = settings_of_group(group, section.get("type")) if rest in ("", "type") else {}
    if key not in nested:
        return [value]
    given = {"type": read_value(value)} if rest else read_value(value)
    if nested[key] is not None and (isinstance(given, str) or (isinstance(given, dict) and "type" in given)):
        section[key] = overlay_settings(section[key], given, nested[key])
        return []
    if not isinstance(given, dict):
        return [value]
    return [replace(value, key=f"{value.key}.{name}", text=json.dumps(part)) for name, part in given.items()]


def open_run(text: str) -> RunFolder:
    """The folder of ``run=...``; says which one ``latest`` is, and if it is not finished, which was the last that is.

    Raises:
        UserError: As `RunFolder.open`.
    """
    from visionkit.runs.folder import RunFolder

    name = text.strip("'\"")
    folder = RunFolder.open(name)
    if name == "latest":
        last = None if folder.is_finished else RunFolder.latest(finished=True)
        state = "" if folder.is_finished else ", which is not finished"
        advice = "" if last is None else f"; the last finished one is run={last.path}"
        print(printable(f"run=latest is {folder.path}{state}{advice}"), file=sys.stderr)
    return folder


def stored_config(folder: RunFolder, parsed: ParsedOverrides) -> dict[str, Any]:
    """The configuration of a run. Its plugins are code, and are imported only if they are typed again.

    Raises:
        UserError: If the run has plugins and ``parsed`` does not set any.
    """
    plain = folder.read_config()
    plugins = plain.get("plugins") or []
    plugins = plugins if isinstance(plugins, list) else [plugins]
    if plugins and not any(value.key == "plugins" for value in parsed.values):
        names = f"plugins=[{','.join(str(name) for name in plugins)}]"
        raise UserError(
            f"the run '{folder.path}' was made with {names}, and a run folder's code is never run unasked. "
            f"If you trust it, add: {names}"
        )
    return plain


def parse_boolean(text: str, *, key: str) -> bool:
    """Parse ``true`` or ``false``, in small or capital letters.

    Args:
        text: The value as typed.
        key: Its key, for the error message.

    Raises:
        UserError: If it is neither.
    """
    if text.lower() not in ("true", "false"):
        raise UserError(f"{key}: expected true or false, found '{text}'. Try: {key}=true")
    return text.lower() == "true"
