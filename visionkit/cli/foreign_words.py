"""The words of other tools, and what is typed here instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError

__all__ = ["TOP_KEYS", "check_flag", "check_key", "check_verb", "known_choice"]

TOP_KEYS = ("seed", "run_dir", "weights", "plugins", "strict", "format", "callbacks")
"""The keys of a configuration that lie in no group."""

_KEYS: Mapping[str, str] = {
    "arch": "backbone", "architecture": "backbone", "model": "backbone", "encoder": "backbone", "network": "backbone",
    "cfg": "backbone", "data": "dataset.root", "data_dir": "dataset.root", "data_path": "dataset.root",
    "root": "dataset.root", "epochs": "recipe.epochs", "max_epochs": "recipe.epochs",
    "trainer.max_epochs": "recipe.epochs", "batch": "recipe.batch_size", "batch_size": "recipe.batch_size",
    "bs": "recipe.batch_size", "lr": "recipe.lr", "lr0": "recipe.lr", "learning_rate": "recipe.lr",
    "optimizer": "recipe.optimizer", "weight_decay": "recipe.optimizer.weight_decay",
    "momentum": "recipe.optimizer.momentum", "patience": "recipe.early_stopping.patience",
    "imgsz": "dataset.image_size", "img_size": "dataset.image_size", "image_size": "dataset.image_size",
    "img": "dataset.image_size", "workers": "dataset.num_workers", "num_workers": "dataset.num_workers",
    "devices": "hardware.devices", "gpus": "hardware.devices", "accelerator": "hardware.accelerator",
    "precision": "hardware.precision", "output": "run_dir", "output_dir": "run_dir",
    "project": "run_dir", "name": "run_dir", "save_dir": "run_dir", "conf": "min_score", "checkpoint": "run",
    "ckpt": "run", "ckpt_path": "run", "random_state": "seed",
}  # fmt: skip
_SPECIAL: Mapping[str, str] = {
    "device": "hardware=cpu or hardware=gpu; several: hardware.devices=2",
    "pretrained": "weights=imagenet for a model, backbone.weights=imagenet for a backbone",
    "amp": "hardware.precision=bf16",
    "augment": "dataset.augment={horizontal_flip: {p: 0.5}}, or null for none",
}
_CHOICES: Mapping[str, Mapping[str, str]] = {
    "task": {
        "classification": "classify", "cls": "classify", "classifier": "classify", "detection": "detect",
        "object_detection": "detect", "det": "detect", "segmentation": "segment", "semantic": "segment",
        "semantic_segmentation": "segment", "seg": "segment", "instance_segmentation": "instance",
    },
    "hardware": {"cuda": "gpu", "0": "gpu", "mps": "auto"},
    "dataset": {
        "imagefolder": "folder", "image_folder": "folder", "pascal_voc": "voc", "pascal": "voc", "mscoco": "coco",
    },
    "recipe": {"Adam": "adam", "AdamW": "adamw", "SGD": "sgd"},
}  # fmt: skip
_VERBS: Mapping[str, str] = {
    "fit": "train", "val": "evaluate", "validate": "evaluate", "test": "evaluate", "eval": "evaluate",
    "infer": "predict", "detect": "train task=detect", "segment": "train task=segment",
    "classify": "train task=classify", "summary": "inspect", "info": "inspect", "help": "--help",
    "version": "--version", "sweep": "-m", "tune": "sweep=optuna", "search": "sweep=optuna",
    "resume": "train run=latest resume=true",
}  # fmt: skip


def check_key(key: str, text: str, *, verb: str) -> None:
    """Refuse a key that means something in other tools, or that belongs to another verb.

    Args:
        key: A key that is neither a group nor an option of the verb.
        text: Its value as typed.
        verb: The verb.

    Raises:
        UserError: With what to type instead.
    """
    if key in TOP_KEYS:
        return
    if key in _SPECIAL:
        raise UserError(f"'{key}={text}': no key is called '{key}' here. Type {_SPECIAL[key]}")
    others = [name for name, other in VERBS.items() if key in other.options]
    if others and "." not in key and (key not in _KEYS or _KEYS[key] in VERBS[verb].options):
        raise UserError(
            f"'{key}={text}': '{key}' is a key of {' and '.join(others)} alone. "
            f"Try: python -m visionkit {others[0]} ... {key}={text}"
        )
    if key in _KEYS:
        raise UserError(f"unknown key '{key}'. Did you mean '{_KEYS[key]}'? Type {_KEYS[key]}={text}")


def check_flag(flag: str, following: str, *, known: Collection[str], groups: Collection[str]) -> None:
    """Refuse a flag, with what to type instead.

    Args:
        flag: Such as ``--backbone`` or ``--epochs=5``.
        following: The argument behind it.
        known: The flags there are.
        groups: Names of the configuration groups.

    Raises:
        UserError: Always.
    """
    name, equals, value = flag.lstrip("-").replace("-", "_").partition("=")
    value = value if equals or following.startswith("-") else following
    key = name if name in groups or name in ("seed", "run", "run_dir", "weights", "source") else _KEYS.get(name)
    if name in _SPECIAL and name not in groups:
        hint = f"Type {_SPECIAL[name]}"
    elif key is not None:
        hint = f"Settings have no dashes: {key}={value or 'VALUE'}"
    else:
        hint = "Settings are given as key=value, such as recipe.epochs=5."
    raise UserError(f"no flag is called '{flag.partition('=')[0]}'. Flags: {', '.join(known)}. {hint}")


def check_verb(word: str) -> None:
    """Refuse a word that is a verb of other tools.

    Raises:
        UserError: With the verb here; nothing happens for any other word.
    """
    if word.lower() in VERBS:
        raise UserError(f"no verb is called '{word}'. Did you mean '{word.lower()}'?")
    if word.lower() in _VERBS:
        raise UserError(f"no verb is called '{word}'. Type: python -m visionkit {_VERBS[word.lower()]}")


def known_choice(group: str, choice: str) -> str | None:
    """The choice of a group that a word of other tools means; None if it means none."""
    return _CHOICES.get(group, {}).get(choice) or _CHOICES.get(group, {}).get(choice.lower().replace("-", "_"))
