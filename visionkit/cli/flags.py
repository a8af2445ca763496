"""The flags of the command line, Hydra's among them, and the verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visionkit.cli.foreign_words import check_flag, check_verb
from visionkit.cli.syntax import check_arguments
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError, did_you_mean

__all__ = ["Request", "parse_command_line"]

_FLAGS = ("-m", "--help", "--version", "--config-dir FOLDER", "--cfg job", "--info", "--shell-completion install=bash")
_LONG: Mapping[str, str] = {
    "-h": "--help", "-m": "--multirun", "-r": "--run", "-i": "--info", "-c": "--cfg", "-p": "--package",
    "-cd": "--config-dir", "-cp": "--config-path", "-cn": "--config-name", "-sc": "--shell-completion",
}  # fmt: skip
_SWITCHES: Mapping[str, str] = {
    "--help": "help", "--hydra-help": "hydra_help", "--multirun": "multirun",
    "--run": "", "--resolve": "",  # runs are the default, and nothing is left to resolve
}  # fmt: skip
_VALUED = (
    "--cfg", "--package", "--config-dir", "--config-path", "--config-name", "--shell-completion",
    "--experimental-rerun",
)  # fmt: skip
_COMMANDS = ("--run", "--multirun", "--cfg", "--info", "--shell-completion")
"""Hydra's flags of which one alone may be given."""

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
        subject: The word behind a verb that has some, such as ``lr`` of ``find lr``; None if there is none.
        arguments: Overrides and other arguments of the verb, as typed.
        config_dirs: Folders of the user's with groups of their own.
        help: Whether help is asked for.
        hydra_help: Whether help on Hydra's flags is asked for.
        multirun: Whether ``-m`` is given.
        cfg: What ``--cfg`` shows: ``job``, ``hydra`` or ``all``; empty without it.
        package: The key below which ``--cfg`` shows values.
        info: What ``--info`` shows, one of `INFO_TOPICS`; empty without it.
        completion: The value of ``--shell-completion``, such as ``install=bash``; empty without it.
    """

    verb: str = "train"
    subject: str | None = None
    arguments: list[str] = field(default_factory=list)
    config_dirs: list[Path] = field(default_factory=list)
    help: bool = False
    hydra_help: bool = False
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
    request, words, seen = Request(), list(arguments), set[str]()
    if words and words[0] in VERBS:
        request.verb = words.pop(0)
        if VERBS[request.verb].subjects and words and not words[0].startswith(("-", "~", "+")) and "=" not in words[0]:
            request.subject = words.pop(0)
    elif words and not words[0].startswith(("-", "~", "+")) and "=" not in words[0]:
        check_verb(words[0], words[1:])
    while words:
        word = words.pop(0)
        if word == "--version":
            request.verb, request.arguments = "version", []
            return request
        if word.startswith("-"):
            seen.add(_read_flag(request, word, words))
        else:
            request.arguments.append(_renamed(word))
    commands = [flag for flag in _COMMANDS if flag in seen]
    if len(commands) > 1:
        raise UserError(f"{' and '.join(commands)}: each says what to do, and only one of them can be done. Give one.")
    if not request.cfg:
        needless = next((flag for flag in ("--package", "--resolve") if flag in seen), None)
        if needless is not None and not (needless == "--resolve" and (request.help or request.info)):
            value = " recipe" if needless == "--package" else ""
            raise UserError(f"{needless}: it says how --cfg shows the configuration. Try: --cfg job {needless}{value}")
    if not (request.help or request.hydra_help):
        check_arguments(request.arguments, multirun=request.multirun)
    return request


def _read_flag(request: Request, word: str, words: list[str]) -> str:
    """Read a flag and its value; its long name."""
    typed, equals, value = word.partition("=")
    name = _LONG.get(typed, typed)
    if name == "--info":
        is_topic = bool(words) and words[0] in INFO_TOPICS
        request.info = value or (words.pop(0) if is_topic and not equals else "all")
        _check_word("--info", request.info, INFO_TOPICS)
    elif name in _VALUED:
        value = value if equals else (words.pop(0) if words else "")
        _read_valued_flag(request, name, value)
    elif name in _SWITCHES and not equals:
        attribute = _SWITCHES[name]
        if attribute:
            setattr(request, attribute, True)
    elif name in _SWITCHES:
        raise UserError(f"{typed} takes no value, and '{value}' is given. Type {typed}")
    else:
        check_flag(word, words[0] if words else "", known=_FLAGS)
    return name


def _read_valued_flag(request: Request, name: str, value: str) -> None:
    if name in _ELSEWHERE:
        raise UserError(f"{name}: {_ELSEWHERE[name]}.")
    if name == "--config-dir":
        if not value:
            raise UserError("--config-dir: no folder is named. Try: --config-dir FOLDER")
        if not Path(value).is_dir():
            raise UserError(
                f"--config-dir: there is no folder '{value}' (looked in {Path.cwd()}). Expected one with a folder for "
                "each group in it, such as FOLDER/backbone/mine.yaml"
            )
        request.config_dirs.append(Path(value))
    elif name == "--cfg":
        _check_word("--cfg", value, ("job", "hydra", "all"))
        request.cfg = value
    elif name == "--package":
        if not value:
            raise UserError("--package: no part is named. Try: --cfg job --package recipe")
        request.package = value
    else:
        request.completion = value or "nothing"


def _check_word(flag: str, value: str, words: Sequence[str]) -> None:
    if value not in words:
        found = f"found '{value}'" if value else "nothing stands behind it"
        raise UserError(
            f"{flag}: {found}.{did_you_mean(value, words)} Expected one of {', '.join(words)}. Try: {flag} {words[0]}"
        )


def _renamed(word: str) -> str:
    """``hydra.run.dir=X`` as ``run_dir=X``.

    Raises:
        UserError: If the key has a package, as in ``backbone@encoder=lenet``.
    """
    key, equals, value = word.partition("=")
    name = key.lstrip("+~")
    if "@" in name:
        meant = f"{name.partition('@')[0]}={value or 'CHOICE'}"
        raise UserError(f"'{word}': each group has its own place here, and '@' moves none. Type {meant}")
    return f"{_RENAMED[name]}={value}" if equals and name in _RENAMED else word
