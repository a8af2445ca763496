"""``-m`` and ``sweep=...``: many runs out of one command, each composed and checked before the first begins.

Hydra's grammar says what stands for several values; the runs are composed here, as single ones are: Hydra's own
multirun would judge unknown keys and compose each run by itself, past the rules of `visionkit.cli.overrides`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.cli.compose import check_choice, group_choices
from visionkit.cli.expand import combinations, sweep_values
from visionkit.cli.overrides import Override, ParsedOverrides, parse_overrides, read_value
from visionkit.cli.resolve import parse_boolean, resolve, stored_config
from visionkit.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig
    from visionkit.sweeps.grid import SweepOptions

__all__ = ["RunComposer", "SweepWords", "parse_sweep_words", "check_single_process", "run_sweep"]

_OWN = ("run_dir", "resume", "format", "hydra/launcher", "hydra.launcher.n_jobs")
_MAY_CHANGE = (*_OWN, "dataset.num_workers", "dataset.root", "hardware", "plugins", "sweep.trials")
_LAUNCHERS = ("basic", "joblib")


@dataclass
class SweepWords:
    """What was typed, sorted by whom it concerns.

    Attributes:
        runs: What the runs are composed of.
        sweep: The group ``sweep`` and the keys below it.
        own: The sweep's own keys and their values, as typed.
        defining: The words that make it this sweep and no other.
    """

    runs: list[str] = field(default_factory=list)
    sweep: list[str] = field(default_factory=list)
    own: dict[str, str] = field(default_factory=dict)
    defining: list[str] = field(default_factory=list)

    @property
    def run_dir(self) -> str | None:
        """The folder that was typed.

        Raises:
            UserError: If there seem to be several.
        """
        text = self.own.get("run_dir", "")
        if not self.resume and "," in text and text[0] not in "'\"":
            raise UserError(
                f"run_dir: found '{text}', but a sweep lies in one folder, with one in it for each run. Try: "
                f"run_dir={text.partition(',')[0]}, or quote what belongs to its name: 'run_dir=\"{text}\"'"
            )
        value = read_value(Override("run_dir", text))
        return None if value is None else str(value)

    @property
    def resume(self) -> bool:
        """Whether a sweep goes on."""
        return parse_boolean(self.own.get("resume", "false"), key="resume")

    def options(self, config_dirs: Sequence[Path], *, flags: Sequence[str] = ("-m",)) -> SweepOptions:
        """How the sweep is made.

        Raises:
            UserError: If one of its own keys has a wrong value.
        """
        from visionkit.sweeps.grid import SweepOptions

        launcher = self.own.get("hydra/launcher", "basic")
        if launcher not in _LAUNCHERS:
            raise UserError(
                f"hydra/launcher: no launcher is called '{launcher}'.{did_you_mean(launcher, _LAUNCHERS)} "
                "Known: basic (one run after the other), joblib (side by side)."
            )
        kept = [f"{key}={value}" for key, value in self.own.items() if key not in ("run_dir", "resume")]
        dirs = [word for folder in config_dirs for word in ("--config-dir", str(folder))]
        return SweepOptions(
            resume=self.resume,
            as_json=self._format() == "json",
            launcher=launcher,
            n_jobs=self._n_jobs(launcher),
            command=" ".join(map(shlex.quote, [*flags, *dirs, *self.sweep, *self.runs, *kept])),
        )

    def _n_jobs(self, launcher: str) -> int | None:
        if "hydra.launcher.n_jobs" not in self.own:
            return None
        value = read_value(Override("hydra.launcher.n_jobs", self.own["hydra.launcher.n_jobs"]))
        if launcher == "basic":
            raise UserError("hydra.launcher.n_jobs: one run follows the other unless hydra/launcher=joblib is typed.")
        if type(value) is not int or not (value > 0 or value == -1):
            raise UserError(f"hydra.launcher.n_jobs: expected a whole number of 1 or more, or -1, found {value!r}.")
        return value

    def _format(self) -> str:
        text = self.own.get("format", "text")
        if text not in ("text", "json"):
            raise UserError(f"format: expected text or json, found '{text}'.{did_you_mean(text, ('text', 'json'))}")
        return text


def parse_sweep_words(words: Sequence[str], choices: Mapping[str, Sequence[str]]) -> SweepWords:
    """Sort what was typed.

    Raises:
        UserError: If something of Hydra's is set that does nothing here.
    """
    sorted_words = SweepWords()
    for word in words:
        override = Override.read(word)
        key = word if override is None else override.key
        if override is not None and key in _OWN and not override.delete:
            sorted_words.own[key] = override.text
            continue
        if key.startswith(("hydra.", "hydra/")):
            raise UserError(f"'{word}' does nothing here. Of Hydra's keys, a sweep knows {_OWN[3]} and {_OWN[4]}.")
        may_change = any(key == name or key.startswith(f"{name}.") for name in _MAY_CHANGE)
        if not may_change or sweep_values(word, choices) is not None:
            sorted_words.defining.append(word)
        of_search = key.startswith("sweep.") or (key == "sweep" and override is not None and not override.delete)
        (sorted_words.sweep if of_search else sorted_words.runs).append(word)
    return sorted_words


class RunComposer:
    """Composes the runs of a sweep out of the words that they share.

    Args:
        words: What was typed; a word whose key a run has a value for gives way to it.
        config_dirs: Folders of the user's beside the shipped one.

    Raises:
        UserError: If ``run=FOLDER`` names no run.
    """

    def __init__(self, words: Sequence[str], config_dirs: Sequence[Path]) -> None:
        self.words, self.config_dirs = list(words), config_dirs
        self.groups = group_choices(config_dirs)
        self._known: dict[Any, dict[str, Any]] = {}
        self._base: dict[str, Any] | None = None
        typed = self.typed({})
        if "run" in typed.options:
            from visionkit.runs.folder import RunFolder

            if "experiment" in typed.groups:
                raise UserError("run=... repeats a run from its file, and experiment=... starts from the groups.")
            self._base = stored_config(RunFolder.open(typed.options["run"].strip("'\"")), typed)

    def typed(self, overrides: Mapping[str, str]) -> ParsedOverrides:
        """The words of one run."""
        left = dict(overrides)
        words = []
        for word in self.words:
            typed = Override.read(word)
            key = "" if typed is None or typed.delete else typed.key
            words.append(f"{key}={left.pop(key)}" if key in left else word)
        words += [f"{key}={text}" for key, text in left.items()]
        return parse_overrides(words, groups=self.groups, options=("run",), verb="train")

    def config(self, overrides: Mapping[str, str]) -> RunConfig:
        """One run without a folder yet, checked as far as it can be without torch.

        Args:
            overrides: The swept keys and its values, as typed.

        Raises:
            UserError: If the values do not go together.
        """
        from visionkit.runs.config import RunConfig

        plain = resolve(self.typed(overrides), self.config_dirs, base=self._base, known=self._known)
        config = RunConfig.from_plain(plain | {"run_dir": None, "format": "text"})
        if config.hardware.num_nodes > 1:
            raise UserError("hardware.num_nodes: a sweep runs on one machine. Try hardware.num_nodes=1")
        config.check_start()
        return config


def check_single_process() -> None:
    """Sweeps and searches start from one process.

    Raises:
        UserError: If torchrun or srun has started several, each of which would make the whole sweep.
    """
    from visionkit.distributed.processes import started_in_group

    if started_in_group():
        raise UserError(
            "torchrun or srun has started several processes, and a sweep starts from one. Start it by python -m "
            "visionkit; hardware.devices=N spreads each run."
        )


def run_sweep(words: Sequence[str], config_dirs: Sequence[Path]) -> int:
    """``-m``: the product of all values typed.

    Raises:
        UserError: If the sweep as such is wrong: every run of it, a name of a choice, its folder, its launcher.
    """
    from visionkit.sweeps.folder import SweepFolder
    from visionkit.sweeps.job import Job

    check_single_process()
    choices = group_choices(config_dirs)
    typed = parse_sweep_words(words, choices)
    options = typed.options(config_dirs)
    every = combinations(typed.runs, choices)
    for key, text in dict.fromkeys((key, text) for run in every for key, text in run.items() if key in choices):
        check_choice(key, text.strip("'\""), config_dirs)
    folder = (SweepFolder.open if typed.resume else SweepFolder.plan)(typed.run_dir, typed.defining)
    runs = RunComposer(typed.runs, config_dirs)
    jobs = []
    for number, overrides in enumerate(every):
        try:
            jobs.append(Job(number, overrides, runs.config(overrides)))
        except UserError as error:
            jobs.append(Job(number, overrides, None, str(error)))

    from visionkit.sweeps.grid import sweep

    return sweep(jobs, folder, options)
