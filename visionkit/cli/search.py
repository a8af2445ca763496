"""``sweep=optuna``: parses the arguments of a search, and writes its best run as an experiment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.cli.compose import compose, group_choices
from visionkit.cli.expand import NEVER_SWEPT, Interval, expand_overrides
from visionkit.cli.overrides import apply_overrides
from visionkit.cli.sweep import RunComposer, check_single_process, parse_sweep_arguments
from visionkit.cli.syntax import Override
from visionkit.config_files import conf_folder
from visionkit.errors import Outcome, UserError, did_you_mean
from visionkit.files import write_atomic
from visionkit.yaml_files import dump_yaml

if TYPE_CHECKING:
    from visionkit.sweeps.folder import SweepFolder

__all__ = ["run_search", "write_experiment"]


def run_search(arguments: Sequence[str], config_dirs: Sequence[Path], *, silent: bool = False) -> Outcome[SweepFolder]:
    """Run a search; arguments and result as of `visionkit.cli.sweep.run_sweep`.

    Raises:
        UserError: If its settings, its space or its folder are wrong, or Optuna is missing.
    """
    from visionkit.sweeps.folder import SweepFolder
    from visionkit.sweeps.space import SearchSettings

    check_single_process()
    choices = group_choices(config_dirs)
    parsed = parse_sweep_arguments(arguments, choices)
    options = parsed.options(config_dirs, flags=())
    if options.launcher != "basic":
        raise UserError("a search makes one run after the other, each drawn from those before. Leave the launcher out.")
    space, fixed = _parse_space(parsed.runs, choices)
    choice, changes = _parse_settings(parsed.sweep, choices)
    settings = SearchSettings.from_config(_merge_settings(choice, changes, config_dirs, space, fixed))
    refused = next((key for key in settings.space if key in NEVER_SWEPT or key.startswith("plugins")), None)
    if refused is not None:
        raise UserError(
            f"sweep.space: '{refused}' is the same for all runs of a search. Give it one value: {refused}=..."
        )
    defining = [f"sweep={choice}", *(argument for argument in parsed.defining if argument in fixed)]
    folder = (SweepFolder.open if parsed.resume else SweepFolder.plan)(parsed.run_dir, defining)
    runs = RunComposer(fixed, config_dirs)

    from visionkit.sweeps.search import search

    code = search(
        settings,
        runs.config,
        lambda overrides, path: write_experiment(runs, overrides, path),
        folder,
        replace(options, silent=silent),
    )
    return Outcome(code, folder)


def write_experiment(runs: RunComposer, overrides: Mapping[str, str], folder: Path) -> str:
    """Write ``experiment/<name>.yaml`` into a folder, with which ``--config-dir`` repeats the run.

    A section is written there as a choice of its own if it lacks keys of its group's choice, or if that choice is not
    shipped with visionkit.

    Args:
        runs: Composes the runs of the search.
        overrides: The sampled keys of this run and their values.
        folder: The folder of the search.

    Returns:
        The command that repeats the run.
    """
    config = runs.config(overrides)
    name = f"{config.name}-best".replace("-", "_")
    parsed = runs.parse(overrides)
    groups = {group: choice for group, choice in parsed.groups.items() if group != "experiment"}
    base = compose(groups, config_dirs=runs.config_dirs)
    choices: list[dict[str, str]] = []
    values: dict[str, Any] = {}
    for key, target in config.plain.items():
        if key in ("run_dir", "format"):
            continue
        if not isinstance(target, dict):
            values |= {key: target} if target != base[key] else {}
            continue
        choice, difference = groups.get(key), _difference(base[key], target)
        shipped = choice is None or (conf_folder() / key / f"{choice}.yaml").is_file()
        if difference is None or not shipped:
            write_atomic(folder / key / f"{name}.yaml", dump_yaml(target))
            choice, difference = name, {}
        choices += [{f"override /{key}": choice}] if choice is not None else []
        values |= {key: difference} if difference else {}
    header = f"# @package _global_\n# The best run of the search in {folder.name}\n"
    write_atomic(folder / "experiment" / f"{name}.yaml", header + dump_yaml({"defaults": choices, **values}))
    plugins = [shlex.quote(f"plugins=[{','.join(config.plugins)}]")] if config.plugins else []
    arguments = [f"--config-dir {shlex.quote(str(folder))}", f"experiment={name}", *plugins]
    return f"python -m visionkit {' '.join(arguments)}"


def _parse_space(arguments: Sequence[str], choices: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], list[str]]:
    """The search space in the arguments, and the arguments with a single value."""
    space: dict[str, Any] = {}
    fixed = []
    for argument, key, values in expand_overrides(arguments, choices):
        if values is None:
            fixed.append(argument)
        elif isinstance(values, Interval):
            space[key] = {"low": values.low, "high": values.high, "log": values.log}
        else:
            space[key] = {"choices": values}
    return space, fixed


def _parse_settings(arguments: Sequence[str], choices: Mapping[str, Sequence[str]]) -> tuple[str, list[Override]]:
    """The choice for the group ``sweep`` and the overrides of its keys."""
    choice, changes = "optuna", []
    for argument, key, values in expand_overrides(arguments, choices):
        override = Override.parse(argument)
        if override is None:
            raise UserError(f"'{argument}' is no setting of a search. Expected such as sweep.trials=20")
        if values is not None:
            raise UserError(f"'{argument}' stands for several values, and a search is one. Give one value: {key}=A")
        if key == "sweep":
            choice = override.text
        else:
            changes.append(override)
    names = choices["sweep"]
    if choice not in names:
        raise UserError(f"no sweep is called '{choice}'.{did_you_mean(choice, names)} Known: {', '.join(names)}.")
    return choice, changes


def _merge_settings(
    choice: str,
    changes: Sequence[Override],
    config_dirs: Sequence[Path],
    space: Mapping[str, Any],
    fixed: Sequence[str],
) -> dict[str, Any]:
    """The group ``sweep`` with the overrides applied; a key that was typed with a single value is not searched."""
    from omegaconf import OmegaConf

    from visionkit.sweeps.space import flatten

    file = next(f for d in (*config_dirs, conf_folder()) if (f := d / "sweep" / f"{choice}.yaml").is_file())
    settings: Any = OmegaConf.to_container(OmegaConf.load(file))
    typed_keys = {override.key for argument in fixed if (override := Override.parse(argument))}
    space_in_file = {key: value for key, value in flatten(settings.get("space") or {}).items() if key not in typed_keys}
    config = {"sweep": {**settings, "space": _nested(space_in_file)}}
    apply_overrides(config, changes)
    merged = flatten(config["sweep"].get("space") or {}) | dict(space)
    return {**config["sweep"], "space": merged}


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return nested


def _difference(base: Any, target: Any) -> dict[str, Any] | None:
    """The keys of ``target`` that differ from ``base``, nested; None if ``base`` has keys that ``target`` lacks."""
    if set(base) - set(target):
        return None
    difference: dict[str, Any] = {}
    for key, value in target.items():
        if key in base and value == base[key]:
            continue
        if key in base and isinstance(value, dict) and isinstance(base[key], dict):
            nested = _difference(base[key], value)
            if nested is None:
                return None
            difference[key] = nested
        else:
            difference[key] = value
    return difference
