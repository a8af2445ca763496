"""The verb ``list``: the groups of the configuration and their choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rich.table import Table

from visionkit.backbones.timm.spec import timm_models
from visionkit.config_files import conf_folder
from visionkit.console import UNLIMITED, print_json, stdout_console
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.registry import load

__all__ = ["list_choices"]

_TIMM = (
    "Any model of timm is a backbone too, such as backbone=timm backbone.model=convnext_tiny. To list them: "
    "python -m visionkit list timm pattern='convnext*'"
)


_REGISTRIES: dict[str, tuple[str, ...]] = {
    "blocks": ("visionkit.blocks:BLOCKS",),
    "norms": ("visionkit.blocks.normalization:NORMS",),
    "necks": ("visionkit.necks:NECKS",),
    "losses": tuple(f"visionkit.losses.spec:{kind}_LOSSES" for kind in ("LABEL", "PIXEL", "BOX")),
    "augmentations": ("visionkit.data.augment.spec:AUGMENTATIONS",),
    "optimizers": ("visionkit.settings:OPTIMIZERS",),
    "schedules": ("visionkit.settings:SCHEDULES",),
    "metrics": ("visionkit.metrics.spec:METRICS",),
    "callbacks": ("visionkit.settings:CALLBACKS",),
}
"""What is chosen by a key within a group, not by a file."""

_GROUPS_OF_PLUGINS = {
    "head": "visionkit.heads:HEADS",
    "dataset": "visionkit.data.sources:SOURCES",
    "logger": "visionkit.settings:LOGGERS",
}
"""The registries of groups whose choices may have no file."""


_FOREIGN = {
    **dict.fromkeys(("model", "models", "net", "nets", "network", "networks", "architectures"), "backbones"),
    **dict.fromkeys(("transforms", "augment", "augments"), "augmentations"), "data": "datasets",
    "lr_schedulers": "schedules", "schedulers": "schedules", "layers": "blocks",
}  # fmt: skip
"""What other tools list, and what that is here."""


def list_choices(
    choices: Mapping[str, Sequence[str]], arguments: Mapping[str, str], *, config_dirs: Sequence[Path]
) -> int:
    """Print all groups with their choices and the blocks, or one group, what one registry has, or the models of timm.

    Args:
        choices: Group names to choices.
        arguments: ``what`` (a group or its plural, a key of `_REGISTRIES`, or ``timm``), ``pattern`` and ``format``,
            where given.
        config_dirs: Folders of the user's, searched in addition to ``conf/``.

    Raises:
        UserError: If ``what`` is no group, no choice matches ``pattern``, or timm is requested and not installed.
    """
    entries_of_group = {
        group: {name: _first_comment(group, name, config_dirs) for name in names} for group, names in choices.items()
    }
    entries_of_group["blocks"] = _registered("blocks")
    what, pattern = arguments.get("what"), arguments.get("pattern", "*")
    if what == "timm":  # apart from the groups, because importing timm takes seconds
        entries_of_group = {"timm": dict.fromkeys(timm_models(), "")}
    elif what is not None and (registry := next((r for r in _REGISTRIES if what in (r, r[:-1], r[:-2])), None)):
        entries_of_group = {registry: _registered(registry)}
    elif what is not None:
        group = next((g for g in entries_of_group if what in (g, f"{g}s", f"{g}es")), None)
        if group is None and what.lower() in _FOREIGN:
            raise UserError(
                f"list: there is no '{what}' to list. Type: python -m visionkit list {_FOREIGN[what.lower()]}"
            )
        if group is None:
            raise UserError(
                f"list: there is no '{what}' to list.{did_you_mean(what, [*entries_of_group, *_REGISTRIES])} "
                f"Known: {', '.join(dict.fromkeys([*entries_of_group, *_REGISTRIES]))}, timm."
            )
        entries_of_group = {group: entries_of_group[group]}
    entries_of_group = {
        group: {name: text for name, text in entries.items() if fnmatch(name, pattern)}
        for group, entries in entries_of_group.items()
    }
    if pattern != "*" and not any(entries_of_group.values()):
        raise UserError(f"list: no {what or 'choice'} matches '{pattern}'. Patterns are such as pattern='resnet*'.")
    if arguments.get("format") == "json":
        print_json(entries_of_group)
        return ExitCode.DONE
    _print_groups(entries_of_group)
    return ExitCode.DONE


def _print_groups(entries_of_group: Mapping[str, Mapping[str, str]]) -> None:
    console = stdout_console()
    for group, entries in entries_of_group.items():
        if console.width >= UNLIMITED:  # a pipe: Rich would fill each line with spaces to the longest
            indent = max(map(len, entries), default=0) + 2
            console.print(
                group, *(f"  {name:<{indent}}{text}".rstrip() for name, text in entries.items()), "", sep="\n"
            )
            continue
        table = Table(
            title=group, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False
        )
        table.add_column(overflow="fold")
        table.add_column(style="dim", overflow="fold")
        for name, summary in entries.items():
            table.add_row(f"  {name}", summary)
        console.print(table, "")
    if "backbone" in entries_of_group:
        console.print(_TIMM, style="dim", soft_wrap=True)


def _first_comment(group: str, name: str, config_dirs: Sequence[Path]) -> str:
    """The first line of a choice's file, or of the class that a plugin has registered."""
    for folder in (*config_dirs, conf_folder()):
        file = folder / group / f"{name}.yaml"
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines()
            comments = [line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line]
            return comments[0] if comments else ""
    registry: Any = load(_GROUPS_OF_PLUGINS[group])
    return (registry.get(name).__doc__ or "").partition("\n")[0]


def _registered(what: str) -> dict[str, str]:
    """What the registries of a key of `_REGISTRIES` hold, with the first line about each."""
    entries: dict[str, str] = {}
    for path in _REGISTRIES[what]:
        registry: Any = load(path)
        kind = registry.kind.partition(" of ")[2]
        for name in registry.names():
            entries[f"{name} (of {kind})" if kind else name] = _summary(registry.get(name))
    return entries


def _summary(cls: Any) -> str:
    """The first line about a registered class, and its keys."""
    keys = ", ".join(field.name for field in fields(cls))
    return f"{(cls.__doc__ or '').partition(chr(10))[0]}{f' Keys: {keys}.' if keys else ''}"
