"""The flags of the command line, Hydra's among them, and the verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visionkit.cli.foreign_words import check_flag, check_verb
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError, did_you_mean

__all__ = ["Request", "parse_command_line"]

_FLAGS = ("-m", "--help", "--version", "--config-dir FOLDER", "--cfg job", "--info", "--shell-completion install=bash")
_VALUED: Mapping[str, str] = {
    "-c": "--cfg", "--cfg": "--cfg", "-p": "--package", "--package": "--package", "-cd": "--config-dir",
    "--config-dir": "--config-dir", "-cp": "--config-path", "--config-path": "--config-path", "-cn": "--config-name",
    "--config-name": "--config-name", "-sc": "--shell-completion", "--shell-completion": "--shell-completion",
    "--experimental-rerun": "--experimental-rerun",
}  # fmt: skip
_ELSEWHERE: Mapping[str, str] = {
    "--config-path": "conf/ of visionkit is always read. Files of your own lie beside it: --config-dir FOLDER, with a "
    "folder for each group, such as FOLDER/backbone/mine.yaml",
    "--config-name": "there is one config.yaml. Values that belong together are a file FOLDER/experiment/NAME.yaml, "
    "chosen by --config-dir FOLDER experiment=NAME",
    "--experimental-rerun": "a run is repeated by its folder: python -m visionkit train run=FOLDER",
}
_RENAMED: Mapping[str, str] = {"hydra.run.dir": "run_dir", "hydra.sweep.dir": "run_dir"}
INFO_TOPICS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


@dataclass
class Request:
    """The command line, with verb and flags taken off.

    Attributes:
        verb: A key of `VERBS`, or ``version``.
        arguments: Overrides and other arguments of the verb, as typed.
        config_dirs: Folders of the user's with groups of their own.
        help: Whether help is asked for.
        multirun: Whether ``-m`` is given.
        cfg: What ``--cfg`` shows: ``job``, ``hydra`` or ``all``; empty without it.
        package: The key below which ``--cfg`` shows values.
        info: What ``--info`` shows, one of `INFO_TOPICS`; empty without it.
        completion: The value of ``--shell-completion``, such as ``install=bash``; empty without it.
    """

    verb: str = "train"
    arguments: list[str] = field(default_factory=list)
    config_dirs: list[Path] = field(default_factory=list)
    help: bool = False
    multirun: bool = False
    cfg: str = ""
    package: str = ""
    info: str = ""
    completion: str = ""


def parse_command_line(arguments: Sequence[str]) -> Request:
    """Split verb and flags from the arguments that the verb reads.

    Raises:
        UserError: If there is no such verb or flag, or a flag lacks its value.
    """
    request, words = Request(), list(arguments)
    if words and words[0] in VERBS:
        request.verb = words.pop(0)
    elif words and not words[0].startswith(("-", "~", "+")) and "=" not in words[0]:
        check_verb(words[0])
        raise UserError(
            f"no verb is called '{words[0]}'.{did_you_mean(words[0], VERBS)} Verbs: {', '.join(VERBS)}. "
            "Settings are given as key=value, such as backbone=resnet18."
        )
    while words:
        word = words.pop(0)
        if word == "--version":
            request.verb, request.arguments = "version", []
            return request
        if word.startswith("-"):
            _read_flag(request, word, words)
        else:
            request.arguments.append(_renamed(word))
    if request.package and not request.cfg:
        raise UserError("--package: it says which part --cfg shows. Try: --cfg job --package recipe")
    return request


def _read_flag(request: Request, word: str, words: list[str]) -> None:
    name, equals, value = word.partition("=")
    if word in ("-h", "--help", "--hydra-help"):
        request.help = True
    elif word in ("-m", "--multirun"):
        request.multirun = True
    elif word in ("-r", "--run", "--resolve"):
        return  # runs are the default, and nothing is left to resolve
    elif name in ("-i", "--info"):
        is_topic = bool(words) and words[0] in INFO_TOPICS
        request.info = value or (words.pop(0) if is_topic and not equals else "all")
        _check_word("--info", request.info, INFO_TOPICS)
    elif name in _VALUED:
        value = value if equals else (words.pop(0) if words else "")
        _read_valued_flag(request, _VALUED[name], value)
    else:
        check_flag(word, words[0] if words else "", known=_FLAGS, groups=_GROUPS)


def _read_valued_flag(request: Request, name: str, value: str) -> None:
    if name in _ELSEWHERE:
        raise UserError(f"{name}: {_ELSEWHERE[name]}.")
    if name == "--config-dir":
        if not value or not Path(value).is_dir():
            raise UserError(f"--config-dir: there is no folder '{value}' (looked in {Path.cwd()}).")
        request.config_dirs.append(Path(value))
    elif name == "--cfg":
        _check_word("--cfg", value, ("job", "hydra", "all"))
        request.cfg = value
    elif name == "--package":
        request.package = value
    else:
        request.completion = value


def _check_word(flag: str, value: str, words: Sequence[str]) -> None:
    if value not in words:
        raise UserError(
            f"{flag}: found '{value}'.{did_you_mean(value, words)} Expected one of {', '.join(words)}. "
            f"Try: {flag} {words[0]}"
        )


def _renamed(word: str) -> str:
    """``hydra.run.dir=X`` as ``run_dir=X``.

    Raises:
        UserError: If the key has a package, as in ``backbone@encoder=lenet``.
    """
    key, equals, value = word.partition("=")
    name = key.lstrip("+~")
    if "@" in name:
        group = name.partition("@")[0]
        raise UserError(
            f"'{word}': each group has its own place here, and '@' moves none. "
            f"Try: {group}{equals}{value or '' if equals else ''}"
        )
    return f"{_RENAMED[name]}={value}" if equals and name in _RENAMED else word


_GROUPS = ("task", "backbone", "head", "dataset", "recipe", "hardware", "logger", "experiment", "debug")
