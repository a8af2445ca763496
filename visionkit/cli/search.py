"""``sweep=optuna``: the words of a search, and the experiment that its best run becomes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from visionkit.cli.compose import compose, group_choices
from visionkit.cli.expand import NEVER_SWEPT, Interval, expand_words
from visionkit.cli.overrides import Override, apply_overrides
from visionkit.cli.sweep import RunComposer, check_single_process, parse_sweep_words
from visionkit.config_files import conf_folder
from visionkit.errors import UserError, did_you_mean
from visionkit.files import write_atomic

__all__ = ["run_search", "write_experiment"]


def run_search(words: Sequence[str], config_dirs: Sequence[Path]) -> int:
    """Make a search.

    Raises:
        UserError: If its settings, its space or its folder are wrong, or Optuna is missing.
    """
    from visionkit.sweeps.folder import SweepFolder
    from visionkit.sweeps.space import SearchSettings

    check_single_process()
    choices = group_choices(config_dirs)
    typed = parse_sweep_words(words, choices)
    options = typed.options(config_dirs, flags=())
    if options.launcher != "basic":
        raise UserError("a search makes one run after the other, each drawn from those before. Leave the launcher out.")
    space, fixed = _typed_space(typed.runs, choices)
    choice, changes = _typed_settings(typed.sweep, choices)
    settings = SearchSettings.from_config(_settings(choice, changes, config_dirs, space, fixed))
    refused = next((key for key in settings.space if key in NEVER_SWEPT or key.startswith("plugins")), None)
    if refused is not None:
        raise UserError(
            f"sweep.space: '{refused}' is the same for all runs of a search. Give it one value: {refused}=..."
        )
    words = [f"sweep={choice}", *(word for word in typed.defining if word in fixed)]
    folder = (SweepFolder.open if typed.resume else SweepFolder.plan)(typed.run_dir, words)
    runs = RunComposer(fixed, config_dirs)

    from visionkit.sweeps.search import search

    return search(
        settings,
        runs.config,
        lambda overrides, path: write_experiment(runs, overrides, path),
        folder,
        options,
    )


def write_experiment(runs: RunComposer, overrides: Mapping[str, str], folder: Path) -> str:
    """Write ``experiment/<name>.yaml`` below a folder, from which ``--config-dir`` makes the run again.

    A section that differs from the choice of its group by more than additions becomes a choice of its own there.

    Args:
        runs: What the runs share.
        overrides: The values of this one.
        folder: Of the search.

    Returns:
        The command that makes the run again.
    """
    config = runs.config(overrides)
    name = f"{config.name}-best".replace("-", "_")
    typed = runs.typed(overrides)
    groups = {group: choice for group, choice in typed.groups.items() if group != "experiment"}
    base = compose(groups, config_dirs=runs.config_dirs)
    choices: list[dict[str, str]] = []
    values: dict[str, Any] = {}
    for key, wanted in config.plain.items():
        if key in ("run_dir", "format"):
            continue
        if not isinstance(wanted, dict):
            values |= {key: wanted} if wanted != base[key] else {}
            continue
        choice, more = groups.get(key), _additions(base[key], wanted)
        shipped = choice is None or (conf_folder() / key / f"{choice}.yaml").is_file()
        if more is None or not shipped:
            write_atomic(folder / key / f"{name}.yaml", _yaml(wanted))
            choice, more = name, {}
        choices += [{f"override /{key}": choice}] if choice is not None else []
        values |= {key: more} if more else {}
    head = f"# @package _global_\n# The best run of the search in {folder.name}\n"
    write_atomic(folder / "experiment" / f"{name}.yaml", head + _yaml({"defaults": choices, **values}))
    plugins = [shlex.quote(f"plugins=[{','.join(config.plugins)}]")] if config.plugins else []
    words = [f"--config-dir {shlex.quote(str(folder))}", f"experiment={name}", *plugins]
    return f"python -m visionkit {' '.join(words)}"


def _typed_space(words: Sequence[str], choices: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], list[str]]:
    """What was typed for the search to draw from, and the words that stay as they are."""
    space: dict[str, Any] = {}
    fixed = []
    for word, key, values in expand_words(words, choices):
        if values is None:
            fixed.append(word)
        elif isinstance(values, Interval):
            space[key] = {"low": values.low, "high": values.high, "log": values.log}
        else:
            space[key] = {"choices": values}
    return space, fixed


def _typed_settings(words: Sequence[str], choices: Mapping[str, Sequence[str]]) -> tuple[str, list[Override]]:
    """The choice for the group ``sweep`` and what was typed below it."""
    choice, changes = "optuna", []
    for word, key, values in expand_words(words, choices):
        override = Override.read(word)
        if override is None:
            raise UserError(f"'{word}' is no setting of a search. Expected such as sweep.trials=20")
        if values is not None:
            raise UserError(f"'{word}' stands for several values, and a search is one. Give one value: {key}=A")
        if key == "sweep":
            choice = override.text
        else:
            changes.append(override)
    known = choices["sweep"]
    if choice not in known:
        raise UserError(f"no sweep is called '{choice}'.{did_you_mean(choice, known)} Known: {', '.join(known)}.")
    return choice, changes


def _settings(
    choice: str,
    changes: Sequence[Override],
    config_dirs: Sequence[Path],
    space: Mapping[str, Any],
    fixed: Sequence[str],
) -> dict[str, Any]:
    """The group ``sweep``, with what was typed laid over it; a key that was typed with one value is not searched."""
    from omegaconf import OmegaConf

    from visionkit.sweeps.space import flatten

    file = next(f for d in (*config_dirs, conf_folder()) if (f := d / "sweep" / f"{choice}.yaml").is_file())
    settings: Any = OmegaConf.to_container(OmegaConf.load(file))
    typed_keys = {override.key for word in fixed if (override := Override.read(word))}
    drawn = {key: value for key, value in flatten(settings.get("space") or {}).items() if key not in typed_keys}
    holder = {"sweep": {**settings, "space": _nested(drawn)}}
    apply_overrides(holder, changes)
    merged = flatten(holder["sweep"].get("space") or {}) | dict(space)
    return {**holder["sweep"], "space": merged}


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return nested


def _additions(base: Any, wanted: Any) -> dict[str, Any] | None:
    """What a file lays over a choice to get what is wanted; None where something would have to go."""
    if set(base) - set(wanted):
        return None
    more: dict[str, Any] = {}
    for key, value in wanted.items():
        if key in base and value == base[key]:
            continue
        if key in base and isinstance(value, dict) and isinstance(base[key], dict):
            below = _additions(base[key], value)
            if below is None:
                return None
            more[key] = below
        else:
            more[key] = value
    return more


def _yaml(values: Any) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
