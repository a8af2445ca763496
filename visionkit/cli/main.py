"""Entry point of the command line: runs the command of the verb, and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from visionkit import __version__
from visionkit.cli.compose import REPLAY, group_choices
from visionkit.cli.flags import Request, parse_command_line
from visionkit.cli.help import help_text, hydra_help_text
from visionkit.cli.options import parse_options
from visionkit.cli.overrides import ParsedOverrides, parse_overrides, read_value
from visionkit.cli.resolve import open_run, resolve, stored_config
from visionkit.cli.signals import begin_work, handle_signals, report_signal
from visionkit.cli.syntax import PATH_KEYS, Override, is_search
from visionkit.cli.verb_configs import (
    compose_benchmark,
    compose_finder,
    compose_networks,
    compose_replay,
    compose_stored_run,
    compose_training,
    evaluate_options,
    load_typed_plugins,
    settings_with_file,
)
from visionkit.cli.verbs import VERBS
from visionkit.errors import ExitCode, ProcessError, UserError
from visionkit.os_errors import os_error_message
from visionkit.registry import plugin_failure
from visionkit.runs.exports import find_export
from visionkit.text import printable

__all__ = ["main", "print_error"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Those after ``python -m visionkit``; None takes `sys.argv`.

    Returns:
        An `ExitCode`, or the exit code of a process of the run that failed.
    """
    # OpenMP reads it when torch is imported: long spinning slows small tensors some tenfold on a busy machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        with handle_signals():
            return _run(parse_command_line(list(sys.argv[1:] if arguments is None else arguments)))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return _report(error)


def _report(error: BaseException) -> int:
    """Say what ended the command, and whose fault it is."""
    code = report_signal(error)
    if code is not None:
        return code
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, UserError):
        print_error(f"visionkit: {error}")
        return ExitCode.USER_ERROR
    if isinstance(error, ProcessError):
        print(printable(str(error), keep="\n"), file=sys.stderr)
        return error.code
    failure = plugin_failure(error)
    message = os_error_message(error)
    if failure is None and message is not None:
        print_error(f"visionkit: {message}")
        return ExitCode.USER_ERROR
    import traceback

    print(printable("".join(traceback.format_exception(error)), keep="\n"), end="", file=sys.stderr)
    fault = "this is a fault of visionkit, not of yours; please report it with the lines above."
    print_error(f"visionkit: {failure or fault}")
    return ExitCode.INTERNAL_ERROR if failure is None else ExitCode.USER_ERROR


def print_error(message: str) -> None:
    """Print a message to standard error as one line, whatever names of files and classes are in it."""
    print(printable(" ".join(message.splitlines())), file=sys.stderr)


def _run(request: Request) -> int:
    if request.verb == "version":
        print(f"visionkit {__version__}")
        return ExitCode.DONE
    if request.hydra_help:
        print(hydra_help_text())
        return ExitCode.DONE
    load_typed_plugins(request.arguments)
    choices = group_choices(request.config_dirs)
    if request.help:
        print(help_text(request.verb, choices))
        return ExitCode.DONE
    if request.completion:
        from visionkit.cli.completion import complete

        return complete(request.completion, choices)
    begin_work()
    searching = is_search(request.arguments)
    if (request.multirun or searching) and request.verb != "train":
        raise UserError(
            f"sweeps are of training runs: {request.verb} takes neither -m nor sweep=... . Leave these out, and give "
            "each key one value."
        )
    if (request.cfg or request.info) and request.verb in ("list", *_OPTION_COMMANDS):
        raise UserError(
            f"{request.verb}: it runs nothing, so there is no configuration to show. Leave --cfg and --info out."
        )
    if request.verb in _OPTION_COMMANDS:
        return _OPTION_COMMANDS[request.verb](parse_options(request.verb, request.arguments))
    if request.verb == "find":
        from visionkit.commands.find import check_subject

        check_subject(request.subject)
    if request.verb == "list":
        from visionkit.commands.list import list_choices

        return list_choices(choices, _parse_list_arguments(request.arguments), config_dirs=request.config_dirs)
    if searching:
        from visionkit.cli.search import run_search

        return run_search(request.arguments, request.config_dirs).code
    if request.multirun:
        from visionkit.cli.sweep import run_sweep

        return run_sweep(request.arguments, request.config_dirs).code
    parsed = parse_overrides(request.arguments, groups=choices, options=VERBS[request.verb].options, verb=request.verb)
    if request.cfg or request.info or request.verb == "config":
        return _show(parsed, request)
    if request.verb == "find":
        return _find(str(request.subject), parsed, request.config_dirs)
    return _COMMANDS[request.verb](parsed, request.config_dirs)


def _show(parsed: ParsedOverrides, request: Request) -> int:
    """``--cfg``, ``--info`` and the verb ``config``: what the command would run, checked but for the data."""
    from visionkit.cli.origins import chosen_groups, find_origins, merged_files
    from visionkit.cli.show_config import print_cfg, print_config, print_info
    from visionkit.runs.config import RunConfig

    folder = open_run(parsed.options["run"]) if "run" in parsed.options else None
    plain = resolve(parsed, request.config_dirs, base=None if folder is None else stored_config(folder, parsed))
    RunConfig.from_plain(plain, check_data=False)
    if request.cfg:
        return print_cfg(plain, request)
    if request.info:
        choices = parsed.groups if folder is not None else chosen_groups(parsed.groups, request.config_dirs)
        return print_info(request, plain, choices, merged_files(choices, request.config_dirs))
    origins = find_origins(plain, parsed, request.config_dirs, run="" if folder is None else str(folder.path))
    return print_config(plain, origins, as_json=plain["format"] == "json")


def _train(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    if parsed.groups.get("debug") == REPLAY:
        from visionkit.commands.replay_nan import replay_nan

        return replay_nan(*compose_replay(parsed, config_dirs))
    from visionkit.commands.train import train

    found = compose_training(parsed, config_dirs)
    return train(found.plain, resume_from=found.resume_from, auto=found.auto).code


def _evaluate(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.evaluate import evaluate

    plain, folder = compose_stored_run(parsed, config_dirs, verb="evaluate")
    return evaluate(plain, folder, **evaluate_options(parsed)).code


def _predict(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.predict import predict, predict_with_file

    file = find_export(parsed.options.get("run", "latest").strip("'\""))
    if file is None:
        plain, folder = compose_stored_run(parsed, config_dirs, verb="predict")
    if "source" not in parsed.options:
        raise UserError("predict needs images: source=IMAGE, source=FOLDER or source='photos/*.jpg'.")
    options = {key: read_value(Override(key, text)) for key, text in parsed.options.items() if key not in PATH_KEYS}
    if "out" in parsed.options:
        options["out"] = parsed.options["out"].strip("'\"")
    source = parsed.options["source"].strip("'\"")
    if file is not None:
        return predict_with_file(file, source=source, options=options, **settings_with_file(parsed))
    if not any(value.key == "run_dir" for value in parsed.values):
        plain["run_dir"] = None
    return predict(plain, folder, source=source, options=options)


def _export(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.export import export

    plain, folder = compose_stored_run(parsed, config_dirs, verb="export")
    literal = ("size", *PATH_KEYS)
    options = {key: read_value(Override(key, text)) for key, text in parsed.options.items() if key not in literal}
    options |= {key: parsed.options[key].strip("'\"") for key in ("out", "size") if key in parsed.options}
    return export(plain, folder, options=options)


def _benchmark(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.benchmark import benchmark

    found = compose_benchmark(parsed, config_dirs)
    return benchmark(found.plains, found.paths, found.options, use_dataset=found.use_dataset)


def _find(subject: str, parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.find import find

    plain, options = compose_finder(parsed, config_dirs)
    return find(subject, plain, options)


def _check(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.cli.check_config import compose_check
    from visionkit.commands.check import check

    return check(*compose_check(parsed, config_dirs))


def _serve(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.cli.served_model import compose_served_model
    from visionkit.commands.serve import serve

    model, options = compose_served_model(parsed, config_dirs, verb="serve")
    return serve(model, options=options)


def _demo(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.cli.served_model import compose_served_model
    from visionkit.commands.demo import demo

    model, options = compose_served_model(parsed, config_dirs, verb="demo")
    return demo(model, options=options)


def _inspect(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> int:
    from visionkit.commands.inspect import inspect

    configs, options, use_dataset = compose_networks(parsed, config_dirs)
    return inspect(configs, options, use_dataset=use_dataset)


def _runs(options: Mapping[str, str]) -> int:
    from visionkit.commands.runs import print_runs

    return print_runs(options)


def _compare(options: Mapping[str, str]) -> int:
    from visionkit.commands.compare import compare

    return compare(options)


_OPTION_COMMANDS = {"runs": _runs, "compare": _compare}
_COMMANDS = {
    "train": _train, "evaluate": _evaluate, "predict": _predict, "export": _export, "benchmark": _benchmark,
    "demo": _demo, "serve": _serve, "inspect": _inspect, "check": _check,
}  # fmt: skip


def _parse_list_arguments(words: Sequence[str]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for argument in words:
        key, equals, value = argument.partition("=")
        if not equals:
            if "what" in arguments:
                raise UserError(f"list: '{arguments['what']}' and '{argument}': it shows one group, or all. Name one.")
            arguments["what"] = argument
        elif key == "pattern" or (key == "format" and value in ("text", "json")):
            arguments[key] = value.strip("'\"")
        elif key != "plugins":
            raise UserError(
                f"list: '{argument}' is not known. Expected such as: list, list backbones, "
                "list backbones pattern='resnet*', list format=json."
            )
    return arguments
