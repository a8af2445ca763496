"""What each verb works on, composed from the words of a command or of a call in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visionkit.cli.compose import REPLAY
from visionkit.cli.overrides import ParsedOverrides, allow_only, read_value
from visionkit.cli.resolve import open_run, parse_boolean, resolve, stored_config
from visionkit.cli.syntax import PATH_KEYS, Override
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError
from visionkit.registry import load_plugins
from visionkit.runs.consistency import CHANGEABLE_ON_RESUME
from visionkit.runs.exports import EAGER, check_hardware

if TYPE_CHECKING:
    from visionkit.runs.folder import RunFolder

__all__ = [
    "CHANGEABLE_AFTER_TRAINING", "BenchmarkConfig", "TrainingConfig", "compose_benchmark", "compose_finder",
    "compose_networks", "compose_replay", "compose_stored_run", "compose_training", "evaluate_options",
    "load_typed_plugins", "settings_with_file",
]  # fmt: skip

CHANGEABLE_AFTER_TRAINING = (
    "dataset.cache_mb", "dataset.num_workers", "dataset.root", "debug", "format", "hardware", "plugins",
    "recipe.batch_size", "run_dir", "strict", "task.metrics",
)  # fmt: skip


def load_typed_plugins(arguments: Sequence[str]) -> None:
    """Import the plugins that are typed first, since what they register may be chosen by name."""
    for argument in arguments:
        override = Override.parse(argument)
        if override is not None and override.key == "plugins" and not override.delete:
            names = [name.strip(" '\"") for name in override.text.strip("[]").split(",")]
            load_plugins(name for name in names if name not in ("", "null"))


class TrainingConfig(NamedTuple):
    """What is to be trained.

    Attributes:
        plain: The configuration.
        resume_from: The run that is resumed; None for a new one.
        auto: Whether what lies in ``run_dir`` decides, by `visionkit.runs.continuing.find_continuation`.
    """

    plain: dict[str, Any]
    resume_from: RunFolder | None = None
    auto: bool = False


def compose_training(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> TrainingConfig:
    """The configuration of a training, and the run that is resumed.

    Raises:
        UserError: If the words do not fit each other, or change what a resumed run must keep.
    """
    run = parsed.options.get("run")
    text = parsed.options.get("resume", "false")
    if text.lower() == "auto":
        if run is not None:
            raise UserError(
                f"run={run} resume=auto: run= names a run that is there, and resume=auto a command that may begin one. "
                f"To go on with this run: run={run} resume=true. A command to repeat has the words that begin the run, "
                "and run_dir=FOLDER resume=auto"
            )
        return TrainingConfig(resolve(parsed, config_dirs), auto=True)
    if run is None and Path(text).is_dir():
        raise UserError(f"resume: expected true or false, found the folder '{text}'. Type run={text} resume=true")
    if text.lower() not in ("true", "false"):
        raise UserError(f"resume: expected true, false or auto, found '{text}'. Try: resume=true")
    resume = parse_boolean(text, key="resume")
    if resume and run is None:
        typed = next((value.text for value in parsed.values if value.key == "run_dir"), "latest")
        raise UserError(f"resume=true continues a run: say which. Type run={typed} resume=true")
    if resume:
        allow_only(
            parsed,
            CHANGEABLE_ON_RESUME,
            reason="resume=true continues a run as it is",
            instead=f"For a new run with this change: python -m visionkit train run={run} {{}}; with "
            f"the weights of this one to begin with: add weights=run:{run}",
        )
    folder = None if run is None else open_run(run)
    if folder is not None and "experiment" in parsed.groups:
        raise UserError(
            f"run={run} repeats a run from its file, and experiment={parsed.groups['experiment']} "
            "starts from the shipped groups. Give one of both."
        )
    plain = resolve(parsed, config_dirs, base=None if folder is None else stored_config(folder, parsed))
    if folder is not None and not any(value.key == "run_dir" for value in parsed.values):
        plain["run_dir"] = None
    return TrainingConfig(plain, folder if resume else None)


def compose_finder(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of the training that a finder is for, and the options of the finder.

    Raises:
        UserError: As `compose_training`.
    """
    typed = {key: text for key, text in parsed.options.items() if key != "run"}
    options = {key: read_value(Override(key, text)) for key, text in typed.items() if key not in PATH_KEYS}
    options |= {key: text.strip("'\"") for key, text in typed.items() if key in PATH_KEYS}
    kept = {key: text for key, text in parsed.options.items() if key == "run"}
    plain = compose_training(replace(parsed, options=kept), config_dirs).plain
    if kept and not any(value.key == "format" for value in parsed.values):
        plain["format"] = "text"
    return plain, options


def compose_replay(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> tuple[dict[str, Any], RunFolder]:
    """The configuration of the run whose batch is replayed, and its folder.

    Raises:
        UserError: If no run is named, or a word would change it.
    """
    if "run" not in parsed.options:
        raise UserError(
            f"debug={REPLAY} replays the batch that a run has kept: say which run. Type: python -m visionkit train "
            f"run=latest debug={REPLAY}"
        )
    if parse_boolean(parsed.options.get("resume", "false"), key="resume"):
        raise UserError(f"debug={REPLAY} trains nothing, and resume=true goes on with a training. Give one of both.")
    allow_only(
        parsed, ("debug", "format", "hardware", "plugins"), reason=f"debug={REPLAY} takes a run as it is",
        instead="Leave it out",
    )  # fmt: skip
    folder = open_run(parsed.options["run"])
    base = stored_config(folder, parsed) | {"format": "text"}
    groups = {group: choice for group, choice in parsed.groups.items() if group != "debug"}
    return resolve(replace(parsed, groups=groups), config_dirs, base=base), folder


def compose_stored_run(
    parsed: ParsedOverrides, config_dirs: Sequence[Path], *, verb: str
) -> tuple[dict[str, Any], RunFolder]:
    """The configuration of the run that a verb reads, with the overrides applied, and its folder.

    Raises:
        UserError: If there is no such run, or an override would change what was trained.
    """
    if "run" not in parsed.options:
        raise UserError(f"{verb} needs a run: run=FOLDER, or run=latest for the newest one.")
    allow_only(
        parsed,
        CHANGEABLE_AFTER_TRAINING,
        reason=f"{verb} takes a run as it is",
        options=VERBS[verb].options,
        instead=f"For a new run with this change: python -m visionkit train run={parsed.options['run']} {{}}",
    )
    folder = open_run(parsed.options["run"])
    base = stored_config(folder, parsed)
    base["format"] = "text"
    if isinstance(base.get("hardware"), dict):  # evaluation and prediction run on one machine
        base["hardware"] |= {"num_nodes": 1, "node_rank": 0}
    return resolve(parsed, config_dirs, base=base), folder


def evaluate_options(parsed: ParsedOverrides) -> dict[str, Any]:
    """The options of ``evaluate`` that were typed: ``split`` and ``engine``.

    Raises:
        UserError: If the hardware that was typed is none that runs an exported file.
    """
    options = {key: text.strip("'\"") for key, text in parsed.options.items() if key in ("split", "engine")}
    typed = [*parsed.groups.items(), *((value.key, value.text.strip("'\"")) for value in parsed.values)]
    check_hardware(options.get("engine", EAGER), typed)
    return options


def settings_with_file(parsed: ParsedOverrides) -> dict[str, Any]:
    """What may be said beside the options of ``predict`` with an exported file: ``strict`` and ``run_dir``.

    Raises:
        UserError: If something else was typed.
    """
    allow_only(
        parsed, ("run_dir", "strict"), reason="predict takes an exported file as it is",
        instead="Leave it out, or predict with the run itself: run=FOLDER {}",
    )  # fmt: skip
    texts = {value.key: value.text.strip("'\"") for value in parsed.values}
    strict = parse_boolean(texts.get("strict", "false"), key="strict")
    return {"strict": strict, "run_dir": texts.get("run_dir")}


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured by ``benchmark``.

    Attributes:
        plains: A configuration for each run or network.
        paths: The folder of each run; None for a network without one.
        options: Those of the verb.
        use_dataset: Whether a data set was typed for networks without runs.
    """

    plains: list[dict[str, Any]]
    paths: list[Path | None]
    options: dict[str, Any]
    use_dataset: bool = False


def compose_benchmark(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> BenchmarkConfig:
    """The runs or networks that are measured. Unless hardware is typed, it is the CPU in full precision.

    Raises:
        UserError: If runs are named and networks too, or neither; or one twice.
    """
    typed = [*parsed.groups, *(value.key for value in parsed.values)]
    by_backbone = any(key.partition(".")[0] == "backbone" for key in typed)
    if by_backbone == ("run" in parsed.options):
        found = "run= and backbone=, and they exclude each other" if by_backbone else "neither run= nor backbone="
        raise UserError(
            f"benchmark: found {found}. Expected trained runs: run=FOLDER, run=A,B or run=latest; or networks with "
            "random weights: backbone=lenet,resnet18"
        )
    if any(value.key == "hardware.compile" for value in parsed.values):
        raise UserError(
            "hardware.compile: benchmark compiles where its engine is so called. Type engines=eager,compile"
        )
    from visionkit.runs.comparison import open_runs

    lists = {key: parsed.options[key] for key in ("engines", "batch") if key in parsed.options}
    others = {key: text for key, text in parsed.options.items() if key not in ("run", *lists)}
    options = {key: read_value(Override(key, text)) for key, text in others.items()} | lists
    paths: list[Path | None]
    if by_backbone:
        names = [name.strip() for name in parsed.groups.get("backbone", "").split(",")]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate is not None:
            raise UserError(
                f"backbone: '{duplicate}' is named twice. Expected different networks: backbone=lenet,resnet18"
            )
        plains, _, use_dataset = compose_networks(replace(parsed, options={}), config_dirs)
        paths = [None] * len(plains)
    else:
        use_dataset = False
        paths = [*open_runs(parsed.options["run"], verb="benchmark", fewest=1)]
        words = [replace(parsed, options={"run": str(path)}) for path in paths]
        plains = [compose_stored_run(each, config_dirs, verb="benchmark")[0] for each in words]
    for plain in plains:
        plain["hardware"] |= {"devices": 1, "num_nodes": 1, "node_rank": 0, "compile": False}
        if not any(key.partition(".")[0] == "hardware" for key in typed):
            plain["hardware"] |= {"accelerator": "cpu", "precision": "32"}
    return BenchmarkConfig(plains, paths, options, use_dataset)


def compose_networks(
    parsed: ParsedOverrides, config_dirs: Sequence[Path]
) -> tuple[list[dict[str, Any]], dict[str, Any], bool]:
    """A configuration for each backbone that is inspected, the options, and whether the data set is asked for."""
    options = {key: read_value(Override(key, text)) for key, text in parsed.options.items()}
    configs = []
    for backbone in parsed.groups.get("backbone", "").split(","):
        groups = {**parsed.groups, "backbone": backbone.strip()} if "backbone" in parsed.groups else parsed.groups
        configs.append(resolve(replace(parsed, groups=groups), config_dirs))
    use_dataset = "dataset" in parsed.groups or any(value.key.startswith("dataset") for value in parsed.values)
    return configs, options, use_dataset
