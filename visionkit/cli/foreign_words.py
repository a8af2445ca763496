"""The words of other tools, and what is typed here instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from visionkit.cli.override_advice import override_advice
from visionkit.cli.verbs import VERBS
from visionkit.cli.word_tables import (
    ADVICE,
    CALLBACK_ADVICE,
    FOREIGN_CHOICES,
    FOREIGN_KEYS,
    FOREIGN_VERBS,
    PREDICT_ADVICE,
    RUN_WORDS,
)
from visionkit.config_files import group_names
from visionkit.errors import UserError, did_you_mean

__all__ = ["GROUPS", "TOP_KEYS", "check_flag", "check_key", "check_verb", "explain_word", "known_choice"]

GROUPS = ("task", "backbone", "head", "dataset", "recipe", "hardware", "logger", "experiment", "debug")
"""The groups that visionkit ships."""

TOP_KEYS = ("seed", "run_dir", "weights", "plugins", "strict", "format", "callbacks")
"""The keys of a configuration that lie in no group."""


def check_key(key: str, text: str, *, verb: str, task: str = "") -> None:
    """Refuse a key that means something in other tools, or that belongs to another verb.

    Args:
        key: A key that is neither a group nor an option of the verb.
        text: Its value as typed.
        verb: The verb.
        task: The task that is typed too, where one is.

    Raises:
        UserError: With what to type instead.
    """
    if re.fullmatch(r'"[\w./-]+"', text):
        text = text[1:-1]  # a word given in Python, which needs no quotes where it is typed
    _check_value(key, text)
    if key in TOP_KEYS:
        return
    if key.startswith(("hydra.", "hydra/")):
        raise UserError(
            f"'{key}={text}' does nothing here. Of Hydra's own keys visionkit takes hydra.run.dir and hydra.sweep.dir, "
            "which mean run_dir, and in a sweep (-m) hydra/launcher and hydra.launcher.n_jobs. Leave it out."
        )
    word = _normalized(key)
    if verb in ("evaluate", "predict") and word in RUN_WORDS:
        raise UserError(f"'{key}={text}': {verb} takes the model of a run. Type run=FOLDER, or run=latest")
    if verb == "predict" and word in PREDICT_ADVICE:
        raise UserError(f"'{key}={text}': predict has no such key. {PREDICT_ADVICE[word]}")
    section, _, rest = word.partition(".")
    others = [name for name, other in VERBS.items() if key in other.options]
    if word in ADVICE:
        also = f" (it is a key of {' and '.join(others)})" if others else ""
        raise UserError(f"'{key}={text}': no key is called '{key}' here{also}. {ADVICE[word]}")
    if others and (key not in FOREIGN_KEYS or FOREIGN_KEYS[key] in VERBS[verb].options):
        raise UserError(
            f"'{key}={text}': '{key}' is a key of {' and '.join(others)} alone. "
            f"Try: python -m visionkit {others[0]} ... {key}={text}"
        )
    meant = FOREIGN_KEYS.get(word)
    if meant is None and rest and section not in GROUPS:
        meant = FOREIGN_KEYS.get(rest.rpartition(".")[2])
    if meant is None and section in ("recipe", "hardware"):
        of_section = FOREIGN_KEYS.get(rest, "")
        meant = (
            of_section if of_section.startswith(f"{section}.") and not f"{of_section}.".startswith(f"{word}.") else None
        )
    is_augmentation = key.startswith("dataset.augment.")  # the registry has them, and knows the nearest
    if meant is None and word != key and section in (*GROUPS, *TOP_KEYS) and not is_augmentation:
        meant = word
    if meant is not None and meant.rpartition(".")[2] in VERBS[verb].options:
        meant = meant.rpartition(".")[2]  # such as image_size of inspect
    if meant is not None:
        in_configuration = meant in (*GROUPS, *TOP_KEYS)
        owners = [name for name, other in VERBS.items() if meant in other.options and not in_configuration]
        command = f"python -m visionkit {owners[0]} ... " if owners and verb not in owners else ""
        raise UserError(
            f"unknown key '{key}'. Did you mean '{meant}'? Type {command}{override_advice(meant, text, task=task)}"
        )


def _check_value(key: str, text: str) -> None:
    """Refuse a value of a known key that means something in other tools."""
    if key in ("weights", "backbone.weights") and text != "null":
        meant = override_advice(key, text)
        if meant != f"{key}={text}":
            raise UserError(f"'{key}={text}': expected the name of weights, a file or run:FOLDER. Type {meant}")
    if key == "callbacks":
        names = {_normalized(name).replace("_", "") for name in re.findall(r"[\w-]+", text)}
        advice = next((advice for name, advice in CALLBACK_ADVICE.items() if name in names), None)
        if advice is not None:
            raise UserError(f"'{key}={text}': {advice}")


def _normalized(word: str) -> str:
    return word.lower().replace("-", "_")


def check_flag(flag: str, following: str, *, known: Collection[str]) -> None:
    """Refuse a flag, with what to type instead.

    Args:
        flag: Such as ``--backbone`` or ``--epochs=5``.
        following: The argument behind it.
        known: The flags there are.

    Raises:
        UserError: Always.
    """
    typed, equals, value = flag.partition("=")
    name = _normalized(typed.lstrip("-"))
    value = value if equals or following.startswith("-") else following
    is_option = any(name in verb.options for verb in VERBS.values())
    key = name if name in (*GROUPS, *TOP_KEYS) else FOREIGN_KEYS.get(name, name if is_option else None)
    if key is not None:
        hint = f"Settings have no dashes: {override_advice(key, value) if value else f'{key}=VALUE'}"
    elif name in ADVICE:
        hint = ADVICE[name]
    else:
        suggestion = did_you_mean(typed, (f.split()[0] for f in known)).lstrip() if typed.startswith("--") else ""
        hint = f"{suggestion} Flags: {', '.join(known)}. Settings are given as key=value, such as recipe.epochs=5."
    raise UserError(f"no flag is called '{typed}'. {hint.lstrip()}")


def check_verb(word: str, rest: Sequence[str] = ()) -> None:
    """Refuse a word in the place of the verb.

    Args:
        word: The first argument.
        rest: The arguments behind it.

    Raises:
        UserError: With what to type instead.
    """
    lower = word.lower()
    if lower in VERBS:
        raise UserError(f"no verb is called '{word}'. Did you mean '{lower}'?")
    if lower in FOREIGN_VERBS:
        raise UserError(f"no verb is called '{word}'. Type: python -m visionkit {FOREIGN_VERBS[lower]}")
    raise UserError(explain_word(word, rest))


def explain_word(word: str, rest: Sequence[str] = (), *, verb: str = "") -> str:
    """What to type instead of a word that is neither verb, flag nor ``key=value``.

    Args:
        word: The word.
        rest: The arguments behind it.
        verb: The verb of the command; empty if the word stands in its place.
    """
    key = _normalized(word)
    key = key if key in (*GROUPS, *TOP_KEYS) or key.partition(".")[0] in GROUPS else FOREIGN_KEYS.get(key, "")
    following = rest[0] if rest else ""
    if following.startswith("="):
        value = following[1:] or (rest[1] if len(rest) > 1 else "VALUE")
        return f"'{word} {following}': there are spaces around the =. Type {key or word}={value}"
    if key:
        value = following if following and "=" not in following and following not in VERBS else ""
        typed = override_advice(key, value) if value else f"{key}=VALUE"
        return f"'{word}' has no value. Settings are given as key=value: {typed}"
    if word in VERBS:
        return f"the verb comes first: python -m visionkit {word} ..."
    if verb in ("evaluate", "predict") and "=" not in word and Path(word).exists():
        is_run = (Path(word) / "config.yaml").is_file() or verb == "evaluate"
        return f"'{word}' is not key=value. Type {'run' if is_run else 'source'}={word}"
    group = next((group for group in GROUPS if word in group_names(group)), None)
    group = "backbone" if word.endswith((".yaml", ".yml")) else group
    if group is not None:
        return f"'{word}' is neither a verb nor key=value. Type {group}={word}"
    if verb:
        return (
            f"'{word}' is neither a verb nor key=value. Expected such as backbone=resnet18 or recipe.epochs=5. "
            f"Try: python -m visionkit {verb} --help"
        )
    return (
        f"no verb is called '{word}'.{did_you_mean(word, VERBS)} Verbs: {', '.join(VERBS)}. "
        "Settings are given as key=value, such as backbone=resnet18."
    )


def known_choice(group: str, choice: str) -> str | None:
    """The choice of a group that a word of other tools means; None if it means none."""
    words = FOREIGN_CHOICES.get(group, {})
    return words.get(choice) or words.get(_normalized(choice))
