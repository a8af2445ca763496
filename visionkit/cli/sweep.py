"""``-m`` and ``sweep=...``: composes and checks all runs of a sweep before the first one starts.

Hydra's grammar decides what several values are. The runs are composed here, as single runs are: Hydra's own multirun
would apply overrides by its own rules instead of those of `visionkit.cli.overrides`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.cli.compose import check_choice, group_choices
from visionkit.cli.expand import combinations, sweep_values
from visionkit.cli.overrides import ParsedOverrides, parse_overrides, read_value
from visionkit.cli.resolve import open_run, parse_boolean, resolve, stored_config
from visionkit.cli.syntax import Override
from visionkit.console import loading
from visionkit.errors import Outcome, UserError, did_you_mean
from visionkit.runs.consistency import is_below
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig
    from visionkit.sweeps.folder import SweepFolder
    from visionkit.sweeps.grid import SweepOptions

__all__ = ["RunComposer", "SweepArguments", "parse_sweep_arguments", "check_single_process", "run_sweep"]

_SWEEP_KEYS = ("run_dir", "resume", "format", "hydra/launcher", "hydra.launcher.n_jobs")
_CHANGEABLE_ON_RESUME = (*_SWEEP_KEYS, "dataset.num_workers", "dataset.root", "hardware", "plugins", "sweep.trials")
_LAUNCHERS = ("basic", "joblib")


@dataclass
class SweepArguments:
    """The arguments of a sweep or search, sorted by what they configure.

    Attributes:
        runs: Overrides of the runs.
        sweep: Overrides of the group ``sweep`` and its keys.
        option_values: Keys of the sweep itself, such as ``run_dir``, and their values as typed.
        defining: Arguments that must be the same when the sweep is resumed.
    """

    runs: list[str] = field(default_factory=list)
    sweep: list[str] = field(default_factory=list)
    option_values: dict[str, str] = field(default_factory=dict)
    defining: list[str] = field(default_factory=list)

    @property
    def run_dir(self) -> str | None:
        """The folder of the sweep; None if none was typed.

        Raises:
            UserError: If the value looks like several folders.
        """
        text = self.option_values.get("run_dir", "")
        if not self.resume and "," in text and text[0] not in "'\"":
            raise UserError(
                f"run_dir: found '{text}', but a sweep lies in one folder, with one in it for each run. Try: "
                f"run_dir={text.partition(',')[0]}, or quote what belongs to its name: 'run_dir=\"{text}\"'"
            )
        value = read_value(Override("run_dir", text))
        return None if value is None else str(value)

    @property
    def resume(self) -> bool:
        """Whether an earlier sweep is resumed."""
        return parse_boolean(self.option_values.get("resume", "false"), key="resume")

    def options(self, config_dirs: Sequence[Path], *, flags: Sequence[str] = ("-m",)) -> SweepOptions:
        """The options of the sweep.

        Raises:
            UserError: If a key of the sweep itself has a wrong value.
        """
        from visionkit.sweeps.grid import SweepOptions

        launcher = self.option_values.get("hydra/launcher", "basic")
        if launcher not in _LAUNCHERS:
            raise UserError(
                f"hydra/launcher: no launcher is called '{launcher}'.{did_you_mean(launcher, _LAUNCHERS)} "
                "Known: basic (one run after the other), joblib (side by side)."
            )
        repeated = [f"{key}={value}" for key, value in self.option_values.items() if key not in ("run_dir", "resume")]
        dir_flags = [argument for folder in config_dirs for argument in ("--config-dir", str(folder))]
        return SweepOptions(
            resume=self.resume,
            as_json=self._format() == "json",
            launcher=launcher,
            n_jobs=self._n_jobs(launcher),
            command=" ".join(map(shlex.quote, [*flags, *dir_flags, *self.sweep, *self.runs, *repeated])),
        )

    def _n_jobs(self, launcher: str) -> int | None:
        if "hydra.launcher.n_jobs" not in self.option_values:
            return None
        value = read_value(Override("hydra.launcher.n_jobs", self.option_values["hydra.launcher.n_jobs"]))
        if launcher == "basic":
            raise UserError("hydra.launcher.n_jobs: one run follows the other unless hydra/launcher=joblib is typed.")
        if type(value) is not int or not (value > 0 or value == -1):
            raise UserError(
                f"hydra.launcher.n_jobs: expected a whole number of 1 or more, or -1, found {describe(value)}."
            )
        return value

    def _format(self) -> str:
        text = self.option_values.get("format", "text")
        if text not in ("text", "json"):
            raise UserError(f"format: expected text or json, found '{text}'.{did_you_mean(text, ('text', 'json'))}")
        return text


def parse_sweep_arguments(arguments: Sequence[str], choices: Mapping[str, Sequence[str]]) -> SweepArguments:
    """Sort the arguments of a sweep or search.

    Raises:
        UserError: If a key of Hydra's is set that has no effect here.
    """
    parsed = SweepArguments()
    for argument in arguments:
        override = Override.parse(argument)
        key = argument if override is None else override.key
        if override is not None and key in _SWEEP_KEYS and not override.delete:
            parsed.option_values[key] = override.text
            continue
        if key.startswith(("hydra.", "hydra/")):
            raise UserError(
                f"'{argument}' does nothing here. Of Hydra's keys, a sweep knows {_SWEEP_KEYS[3]} and {_SWEEP_KEYS[4]}."
            )
        may_change = is_below(key, _CHANGEABLE_ON_RESUME)
        if not may_change or sweep_values(argument, choices) is not None:
            parsed.defining.append(argument)
        for_search = key.startswith("sweep.") or (key == "sweep" and override is not None and not override.delete)
        (parsed.sweep if for_search else parsed.runs).append(argument)
    return parsed


class RunComposer:
    """Composes the configurations of the runs of a sweep.

    Args:
        arguments: Overrides that all runs share; the values of a run replace those of the same keys.
        config_dirs: Folders of the user's, searched in addition to ``conf/``.

    Raises:
        UserError: If ``run=FOLDER`` is no run, or is given together with ``experiment``.
    """

    def __init__(self, arguments: Sequence[str], config_dirs: Sequence[Path]) -> None:
        self.arguments, self.config_dirs = list(arguments), config_dirs
        self.groups = group_choices(config_dirs)
        self._composed: dict[Any, dict[str, Any]] = {}
        self._base: dict[str, Any] | None = None
        parsed = self.parse({})
        if "run" in parsed.options:
            if "experiment" in parsed.groups:
                raise UserError("run=... repeats a run from its file, and experiment=... starts from the groups.")
            self._base = stored_config(open_run(parsed.options["run"]), parsed)

    def parse(self, overrides: Mapping[str, str]) -> ParsedOverrides:
        """The overrides of one run."""
        remaining = dict(overrides)
        arguments = []
        for argument in self.arguments:
            parsed = Override.parse(argument)
            key = "" if parsed is None or parsed.delete else parsed.key
            arguments.append(f"{key}={remaining.pop(key)}" if key in remaining else argument)
        arguments += [f"{key}={text}" for key, text in remaining.items()]
        return parse_overrides(arguments, groups=self.groups, options=("run",), verb="train")

    def config(self, overrides: Mapping[str, str]) -> RunConfig:
        """The configuration of one run, without a folder, checked as far as is possible without torch.

        Args:
            overrides: The swept keys and their values, as typed.

        Raises:
            UserError: If a value is wrong, or values do not fit each other.
        """
        from visionkit.runs.config import RunConfig

        plain = resolve(self.parse(overrides), self.config_dirs, base=self._base, composed=self._composed)
        config = RunConfig.from_plain(plain | {"run_dir": None, "format": "text"})
        if config.hardware.num_nodes > 1:
            raise UserError("hardware.num_nodes: a sweep runs on one machine. Try hardware.num_nodes=1")
        config.check_initial_weights()
        return config


def check_single_process() -> None:
    """Check that this process is not one of several.

    Raises:
        UserError: If torchrun or srun has started several, each of which would run the whole sweep.
    """
    from visionkit.distributed.processes import started_in_group

    if started_in_group():
        raise UserError(
            "torchrun or srun has started several processes, and a sweep starts from one. Start it by python -m "
            "visionkit; hardware.devices=N spreads each run."
        )


def run_sweep(arguments: Sequence[str], config_dirs: Sequence[Path], *, silent: bool = False) -> Outcome[SweepFolder]:
    """``-m``: run all combinations of the values.

    Args:
        arguments: The words of the command.
        config_dirs: Folders of the user's with groups of their own.
        silent: Whether nothing is printed.

    Returns:
        The code of `visionkit.sweeps.grid.sweep`, and the folder of the sweep.

    Raises:
        UserError: If all runs are wrong, or the name of a choice, the folder or the launcher is.
    """
    from visionkit.sweeps.folder import SweepFolder
    from visionkit.sweeps.job import Job

    check_single_process()
    choices = group_choices(config_dirs)
    parsed = parse_sweep_arguments(arguments, choices)
    options = parsed.options(config_dirs)
    all_overrides = combinations(parsed.runs, choices)
    if not all_overrides:
        raise UserError(
            f"a sweep of no runs: one of {', '.join(parsed.runs)} stands for no value. Expected one at least, such as "
            "'seed=range(0,3)' for 0, 1 and 2"
        )
    for key, text in dict.fromkeys((key, text) for run in all_overrides for key, text in run.items() if key in choices):
        check_choice(key, text.strip("'\""), config_dirs)
    folder = (SweepFolder.open if parsed.resume else SweepFolder.plan)(parsed.run_dir, parsed.defining)
    runs = RunComposer(parsed.runs, config_dirs)
    jobs = []
    for number, overrides in enumerate(all_overrides):
        try:
            jobs.append(Job(number, overrides, runs.config(overrides)))
        except UserError as error:
            jobs.append(Job(number, overrides, None, str(error)))

    with loading():
        if any(job.config is not None for job in jobs):
            import visionkit.distributed.devices  # noqa: F401 - with torch
        from visionkit.sweeps.grid import sweep

    return Outcome(sweep(jobs, folder, replace(options, silent=silent)), folder)
