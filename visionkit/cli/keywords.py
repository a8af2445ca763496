"""Keywords of a call in Python as the words that a person would type, so that both are composed by the same code."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.cli.compose import group_choices
from visionkit.cli.overrides import ParsedOverrides, parse_overrides
from visionkit.cli.syntax import PATH_KEYS, check_arguments
from visionkit.cli.verb_configs import load_typed_plugins
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError
from visionkit.files import expand_user
from visionkit.schema import describe

__all__ = ["as_words", "call_words", "config_folders", "parse_call"]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.+%@ -]+")


def parse_call(
    verb: str, words: Sequence[str], keywords: Mapping[str, Any], config_dirs: Sequence[Path] = ()
) -> ParsedOverrides:
    """What a command line of the same words means.

    Args:
        verb: Name of the verb.
        words: As typed, such as ``"task=detect"``.
        keywords: Keys, dotted ones too, and plain values.
        config_dirs: Folders of the user's with groups of their own.

    Raises:
        UserError: As `as_words` and `visionkit.cli.overrides.parse_overrides`; for ``format``, which is for commands.
    """
    arguments = call_words(words, keywords, config_dirs)
    return parse_overrides(arguments, groups=group_choices(config_dirs), options=VERBS[verb].options, verb=verb)


def call_words(
    words: Sequence[str], keywords: Mapping[str, Any], config_dirs: Sequence[Path] = (), *, several: bool = False
) -> list[str]:
    """The arguments of a command of the same words, after their plugins are imported.

    Raises:
        UserError: As `as_words`; for ``format``, which is for commands.
    """
    plugins = [f"plugins={_text_of('plugins', keywords['plugins'])}"] if "plugins" in keywords else []
    load_typed_plugins([*(word for word in words if isinstance(word, str)), *plugins])
    try:
        arguments = as_words(words, keywords, groups=group_choices(config_dirs), several=several)
    except RecursionError:
        raise UserError("found a list or mapping that holds itself, or is nested too deeply. Expected none.") from None
    if any(argument.lstrip("+~").startswith("format=") for argument in arguments):
        raise UserError("format: it says what a command prints, and a call in Python returns an object. Leave it out.")
    return arguments


def as_words(
    words: Sequence[str], keywords: Mapping[str, Any], *, groups: Collection[str], several: bool = False
) -> list[str]:
    """The arguments of a command.

    A mapping for a group begins it anew if it says which kind it is, by ``type`` or, for a backbone, ``stages``;
    otherwise each of its keys is a word of its own, as in ``recipe={"epochs": 5}``.

    Args:
        words: As typed, such as ``"task=detect"``.
        keywords: Keys, dotted ones too, and plain values.
        groups: Names of the configuration groups.
        several: Whether a list stands for several values, as in a sweep.

    Raises:
        UserError: If a word is no text or is a flag, a key is given twice, or a value has no words.
    """
    arguments: list[str] = []
    for word in words:
        if not isinstance(word, str):
            raise UserError(
                f"found {_describe(word)} among the words, expected text such as 'recipe.epochs=5'. "
                "Objects are given by keyword: dataset=my_dataset"
            )
        if word.startswith("-"):
            raise UserError(f"'{word}' is a flag of the command line. Expected key=value, such as 'recipe.epochs=5'.")
        arguments.append(word)
    for key, value in keywords.items():
        if key == "run" and value is None:
            continue
        if key not in groups or not isinstance(value, Mapping) or {"type", "stages"} & value.keys():
            arguments.append(f"{key}={_text_of(key, value, is_group=key in groups, several=several)}")
        else:
            arguments += [f"{key}.{k}={_text_of(f'{key}.{k}', v, several=several)}" for k, v in value.items()]
    check_arguments(arguments, multirun=several)
    return arguments


def _text_of(key: str, value: Any, *, is_group: bool = False, several: bool = False) -> str:
    """The text behind ``key=``."""
    if several and isinstance(value, list):
        if not value:
            raise UserError(f"{key}: found an empty list, expected the values of the sweep, such as [0, 1, 2]")
        texts = [_text_of(key, inner, is_group=is_group) for inner in value]
        return f"choice({','.join(texts)})" if key in PATH_KEYS else ",".join(texts)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if key in PATH_KEYS and (not value or not isinstance(value, str)) and value is not None:
        raise UserError(f"{key}: found {describe(value)}, expected a path, as text or a pathlib.Path.")
    if isinstance(value, str) and key in PATH_KEYS:
        return f'"{value}"'  # taken literally, but for the quotes
    if isinstance(value, str) and is_group:
        return value  # the name of a choice, or a path
    return _hydra_text(key, value)


def _hydra_text(key: str, value: Any) -> str:
    """A plain value in Hydra's grammar."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of NumPy's or torch's
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        from hydra.core.override_parser.types import Quote, QuotedString

        return QuotedString(value, Quote.double).with_quotes()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_hydra_text(key, inner) for inner in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_hydra_key(key, k)}: {_hydra_text(f'{key}.{k}', v)}" for k, v in value.items()) + "}"
    raise UserError(f"{key}: found {_describe(value)}, expected a number, text, a list or a mapping of these.")


def _hydra_key(key: str, name: Any) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int) or not _PLAIN_KEY.fullmatch(str(name)):
        raise UserError(
            f"{key}: found the key {describe(name)}, expected letters, digits and ._+%@- alone. Put it into a file of "
            "the group, and name that"
        )
    return str(name)


def _describe(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def config_folders(folder: str | os.PathLike[str] | None) -> list[Path]:
    """The folder of ``config_dir``, as of the flag ``--config-dir``.

    Raises:
        UserError: If there is no such folder.
    """
    if folder is None:
        return []
    if not folder or not isinstance(folder, str | os.PathLike):
        raise UserError(f"config_dir: found {describe(folder)}, expected the path of a folder.")
    path = expand_user(folder)
    if not path.is_dir():
        raise UserError(
            f"config_dir: there is no folder '{path}'. Expected one with a folder for each group in it, such as "
            "FOLDER/backbone/mine.yaml"
        )
    return [path]
