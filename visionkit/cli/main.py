"""From the words on the command line to a verb's own function, and from errors to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visionkit import __version__
from visionkit.cli.compose import group_choices
from visionkit.cli.help import help_text
from visionkit.cli.overrides import PATH_KEYS, Override, ParsedOverrides, allow_only, parse_overrides, read_value
from visionkit.cli.resolve import parse_boolean, resolve, stored_config
from visionkit.cli.verbs import VERBS
from visionkit.errors import ExitCode, ProcessError, UserError, did_you_mean
from visionkit.registry import load_plugins

__all__ = ["main"]


@dataclass
class _Request:
    """What was asked for."""

    verb: str = "train"
    words: list[str] = field(default_factory=list)
    config_dirs: list[Path] = field(default_factory=list)
    help: bool = False
    multirun: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words behind ``python -m visionkit``; the process's own unless given.

    Returns:
        0 done; 2 the user can mend it; 1 a fault of visionkit; 130 interrupted; of a process of a run, its own.
    """
    # Threads that spin for long make small tensors some ten times slower on a busy machine; read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        return _run(_read(list(sys.argv[1:] if arguments is None else arguments)))
    except UserError as error:
        print(f"visionkit: {error}", file=sys.stderr)
        return ExitCode.USER_ERROR
    except ProcessError as error:
        print(error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("visionkit: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception:
        import traceback

        traceback.print_exc()
        print("visionkit: this is a fault of visionkit, not of yours; please report it with the lines above.",
              file=sys.stderr)  # fmt: skip
        return ExitCode.INTERNAL_ERROR


def _read(arguments: list[str]) -> _Request:
    """Take verb and flags off; what is left are the words the verb reads."""
    request = _Request()
    if arguments and arguments[0] in VERBS:
        request.verb = arguments.pop(0)
    elif arguments and not arguments[0].startswith(("-", "~", "+")) and "=" not in arguments[0]:
        raise UserError(
            f"no verb is called '{arguments[0]}'.{did_you_mean(arguments[0], VERBS)} Verbs: {', '.join(VERBS)}. "
            "Settings are given as key=value, such as backbone=resnet18."
        )
    while arguments:
        word = arguments.pop(0)
        if word in ("-h", "--help"):
            request.help = True
        elif word == "--version":
            request.verb, request.words = "version", []
            return request
        elif word in ("-m", "--multirun"):
            request.multirun = True
        elif word == "--config-dir" or word.startswith("--config-dir="):
            folder = word.partition("=")[2] or (arguments.pop(0) if arguments else "")
            if not Path(folder).is_dir() or not folder:
                raise UserError(f"--config-dir: there is no folder '{folder}' (looked in {Path.cwd()}).")
            request.config_dirs.append(Path(folder))
        elif word.startswith("-"):
            raise UserError(
                f"no flag is called '{word}'. Flags: -m, --help, --version, --config-dir FOLDER. "
                "Settings are given as key=value, such as recipe.epochs=5."
            )
        else:
            request.words.append(word)
    return request


def _run(request: _Request) -> int:
    if request.verb == "version":
        print(f"visionkit {__version__}")
        return ExitCode.DONE
    choices = group_choices(request.config_dirs)
    if request.help:
        print(help_text(request.verb, choices))
        return ExitCode.DONE
    searching = any(word.lstrip("+~").startswith(("sweep=", "sweep.")) for word in request.words)
    if (request.multirun or searching) and request.verb != "train":
        raise UserError(
            f"sweeps are of training runs: {request.verb} takes neither -m nor sweep=... . Leave these out, and give "
            "each key one value."
        )
    if request.verb == "list":
        from visionkit.commands.list import list_choices

        return list_choices(choices, _list_arguments(request.words), config_dirs=request.config_dirs)
    if searching:
        from visionkit.cli.search import run_search

        return run_search(request.words, request.config_dirs)
    if request.multirun:
        from visionkit.cli.sweep import run_sweep

        return run_sweep(request.words, request.config_dirs)
    typed = parse_overrides(request.words, groups=choices, options=VERBS[request.verb].options, verb=request.verb)
    return _COMMANDS[request.verb](typed, request.config_dirs)


def _train(typed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.train import train
    from visionkit.runs.folder import RunFolder

    resume = parse_boolean(typed.options.get("resume", "false"), key="resume")
    folder = RunFolder.open(typed.options["run"]) if "run" in typed.options else None
    if resume and folder is None:
        raise UserError("resume=true continues a run: say which, such as run=latest resume=true.")
    if resume:
        allow_only(typed, _MAY_CHANGE_ON_RESUME, because="resume=true continues a run as it is")
    if folder is not None and "experiment" in typed.groups:
        raise UserError(
            f"run={typed.options['run']} repeats a run from its file, and experiment={typed.groups['experiment']} "
            "starts from the shipped groups. Give one of both."
        )
    plain = resolve(typed, config_dirs, base=None if folder is None else stored_config(folder, typed))
    if folder is not None and not any(value.key == "run_dir" for value in typed.values):
        plain["run_dir"] = None
    return train(plain, resume_from=folder if resume else None)


def _evaluate(typed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.evaluate import evaluate

    folder, plain = _of_run(typed, config_dirs, verb="evaluate")
    return evaluate(plain, folder, split=typed.options.get("split"))


def _predict(typed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.predict import predict

    folder, plain = _of_run(typed, config_dirs, verb="predict")
    if "source" not in typed.options:
        raise UserError("predict needs images: source=IMAGE, source=FOLDER or source='photos/*.jpg'.")
    options = {key: read_value(Override(key, text)) for key, text in typed.options.items() if key not in PATH_KEYS}
    if not any(value.key == "run_dir" for value in typed.values):
        plain["run_dir"] = None
    return predict(plain, folder, source=typed.options["source"].strip("'\""), options=options)


def _inspect(typed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.inspect import inspect

    options = {key: read_value(Override(key, text)) for key, text in typed.options.items()}
    configs = []
    for backbone in typed.groups.get("backbone", "").split(","):
        groups = {**typed.groups, "backbone": backbone.strip()} if "backbone" in typed.groups else typed.groups
        configs.append(resolve(replace(typed, groups=groups), config_dirs))
    use_dataset = "dataset" in typed.groups or any(value.key.startswith("dataset") for value in typed.values)
    return inspect(configs, options, use_dataset=use_dataset)


_MAY_CHANGE_AFTER = (
    "dataset.cache_mb", "dataset.num_workers", "dataset.root", "debug", "format", "hardware", "plugins",
    "recipe.batch_size", "run_dir", "strict",
)  # fmt: skip
_MAY_CHANGE_ON_RESUME = (
    "dataset.num_workers", "dataset.root", "format", "hardware", "plugins", "recipe.early_stopping", "recipe.epochs",
)  # fmt: skip
_COMMANDS = {"train": _train, "evaluate": _evaluate, "predict": _predict, "inspect": _inspect}


def _of_run(typed: ParsedOverrides, config_dirs: Sequence[Path], *, verb: str) -> tuple[Any, dict[str, Any]]:
    """The run folder a verb works on, and its configuration with what was typed laid over it."""
    from visionkit.runs.folder import RunFolder

    if "run" not in typed.options:
        raise UserError(f"{verb} needs a run: run=FOLDER, or run=latest for the newest one.")
    allow_only(typed, _MAY_CHANGE_AFTER, because=f"{verb} takes a run as it is")
    folder = RunFolder.open(typed.options["run"].strip("'\""))
    base = stored_config(folder, typed)
    base["format"] = "text"
    if isinstance(base.get("hardware"), dict):  # to look at a run, one machine is enough
        base["hardware"] |= {"num_nodes": 1, "node_rank": 0}
    return folder, resolve(typed, config_dirs, base=base)


def _list_arguments(words: Sequence[str]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            arguments["what"] = word
        elif key == "pattern" or (key == "format" and value in ("text", "json")):
            arguments[key] = value.strip("'\"")
        elif key == "plugins":
            load_plugins(value.strip("[]").split(","))
        else:
            raise UserError(
                f"list: '{word}' is not known. Expected such as: list, list backbones, "
                "list backbones pattern='resnet*', list format=json."
            )
    return arguments
