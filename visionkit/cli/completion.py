"""``--shell-completion``: what may follow on a command line, for bash, zsh and fish."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence

from visionkit.cli.foreign_words import TOP_KEYS
from visionkit.cli.verbs import VERBS
from visionkit.config_files import group_names, read_group_file
from visionkit.errors import ExitCode, UserError, did_you_mean

__all__ = ["complete"]

_BASH = """\
_visionkit() {
  local IFS=$'\\n'
  COMPREPLY=($(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" visionkit --shell-completion query=bash 2>/dev/null))
  [[ ${COMPREPLY[0]} == *= || ${COMPREPLY[0]} == *. ]] && compopt -o nospace
  [[ ${COMP_WORDBREAKS} == *=* && ${COMP_LINE:0:$COMP_POINT} =~ =[^[:space:]]*$ ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
}
complete -o default -F _visionkit visionkit
"""
_ZSH = """\
_visionkit() {
  local -a found
  found=("${(@f)$(COMP_LINE="${BUFFER[1,$CURSOR]}" visionkit --shell-completion query=zsh 2>/dev/null)}")
  compadd -S '' -- $found
}
compdef _visionkit visionkit
"""
_FISH = """\
complete -c visionkit -a '(COMP_LINE=(commandline -cp) visionkit --shell-completion query=fish 2>/dev/null)'
"""
_SCRIPTS: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_VALUES: Mapping[str, Sequence[str]] = {
    "strict": ("true", "false"), "format": ("text", "json"), "resume": ("true", "false", "auto"), "run": ("latest",),
    "hardware.precision": ("32", "bf16", "16"), "hardware.accelerator": ("auto", "cpu", "gpu", "mps"),
}  # fmt: skip
_KEYED_GROUPS: Mapping[str, str] = {"recipe": "sgd", "hardware": "auto", "dataset": "folder", "debug": "none"}


def complete(request: str, choices: Mapping[str, Sequence[str]]) -> int:
    """Print the script of a shell (``install=bash``), or what may follow ``$COMP_LINE`` (``query=bash``).

    Raises:
        UserError: If it is neither, or of another shell.
    """
    action, _, shell = request.partition("=")
    if action not in ("install", "query", "uninstall") or shell not in _SCRIPTS:
        found = request if request == "nothing" else f"'{request}'"
        raise UserError(
            f"--shell-completion: found {found}.{did_you_mean(shell, _SCRIPTS)} Expected install=SHELL, with "
            f'{", ".join(_SCRIPTS)}. Try: eval "$(visionkit --shell-completion install=bash)"'
        )
    if action == "uninstall":
        print(
            {"bash": "complete -r visionkit", "zsh": "compdef -d visionkit", "fish": "complete -e -c visionkit"}[shell]
        )
    elif action == "install":
        print(_SCRIPTS[shell], end="")
    elif action == "query":
        print("\n".join(candidates(os.environ.get("COMP_LINE", ""), choices)))
    return ExitCode.DONE


def candidates(line: str, choices: Mapping[str, Sequence[str]]) -> list[str]:
    """The words that may stand at the end of a command line, sorted.

    Args:
        line: The line up to the cursor, with the name of the command.
        choices: Group names to choices.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    last = "" if line[-1:].isspace() or len(words) < 2 else words[-1]
    before = words[1:] if not last else words[1:-1]
    verb = next((word for word in before if word in VERBS), "train")
    found = _values(last, choices) if "=" in last else _words(verb, before, choices)
    return sorted({word for word in found if word.startswith(last)})


def _values(last: str, choices: Mapping[str, Sequence[str]]) -> Iterator[str]:
    key, _, value = last.partition("=")
    prefix = value.rpartition(",")[0]
    start = f"{key}={prefix}," if prefix else f"{key}="
    yield from (f"{start}{choice}" for choice in [*choices.get(key, ()), *_VALUES.get(key, ())])


def _words(verb: str, before: Sequence[str], choices: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if not before:
        yield from VERBS
    if before == [verb]:
        yield from VERBS[verb].subjects
    yield from ("--help", "--version", "--config-dir", "--cfg", "--info", "-m")
    yield from (f"{key}=" for key in VERBS[verb].options)
    if verb in ("runs", "compare"):
        return
    if verb == "list":
        yield from choices
        return
    yield from (f"{group}=" for group in choices)
    yield from (f"{key}=" for key in TOP_KEYS)
    typed = dict(word.partition("=")[::2] for word in before)
    for group, default in _KEYED_GROUPS.items():
        choice = typed.get(group, default)
        if choice in group_names(group):
            yield from _keys(group, read_group_file(group, choice))


def _keys(prefix: str, values: Mapping[str, object]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _keys(f"{prefix}.{key}", value)
        yield f"{prefix}.{key}="
