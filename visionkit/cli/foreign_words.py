"""The words of other tools, and what is typed here instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from visionkit.cli.verbs import VERBS
from visionkit.config_files import group_names
from visionkit.errors import UserError, did_you_mean

__all__ = ["GROUPS", "TOP_KEYS", "check_flag", "check_key", "check_verb", "explain_word", "known_choice"]

GROUPS = ("task", "backbone", "head", "dataset", "recipe", "hardware", "logger", "experiment", "debug")
"""The groups that visionkit ships."""

TOP_KEYS = ("seed", "run_dir", "weights", "plugins", "strict", "format", "callbacks")
"""The keys of a configuration that lie in no group."""

_KEYS: Mapping[str, str] = {
    "arch": "backbone", "architecture": "backbone", "model": "backbone", "encoder": "backbone", "network": "backbone",
    "net": "backbone", "cfg": "backbone", "data": "dataset.root", "data_dir": "dataset.root",
    "data_path": "dataset.root", "root": "dataset.root", "path": "dataset.root", "epochs": "recipe.epochs",
    "epoch": "recipe.epochs", "num_epochs": "recipe.epochs", "n_epochs": "recipe.epochs",
    "max_epochs": "recipe.epochs", "batch": "recipe.batch_size", "batch_size": "recipe.batch_size",
    "batchsize": "recipe.batch_size", "bs": "recipe.batch_size", "lr": "recipe.lr", "lr0": "recipe.lr",
    "learning_rate": "recipe.lr", "optimizer": "recipe.optimizer", "optim": "recipe.optimizer",
    "opt": "recipe.optimizer", "scheduler": "recipe.schedule", "lr_scheduler": "recipe.schedule",
    "schedule": "recipe.schedule", "weight_decay": "recipe.optimizer.weight_decay",
    "wd": "recipe.optimizer.weight_decay", "momentum": "recipe.optimizer.momentum",
    "warmup_epochs": "recipe.schedule.warmup_epochs", "patience": "recipe.early_stopping.patience",
    "gradient_clip_val": "recipe.clip_norm", "clip_grad": "recipe.clip_norm",
    "accumulate_grad_batches": "recipe.accumulate", "accumulate": "recipe.accumulate",
    "imgsz": "dataset.image_size", "img_size": "dataset.image_size", "image_size": "dataset.image_size",
    "img": "dataset.image_size", "input_size": "dataset.image_size", "resolution": "dataset.image_size",
    "workers": "dataset.num_workers", "num_workers": "dataset.num_workers", "val_split": "dataset.val_fraction",
    "download": "dataset.download", "loss": "head.loss", "metrics": "task.metrics",
    "dropout": "backbone.classifier.dropout", "devices": "hardware.devices", "gpus": "hardware.devices",
    "num_gpus": "hardware.devices", "accelerator": "hardware.accelerator", "precision": "hardware.precision",
    "strategy": "hardware.strategy", "num_nodes": "hardware.num_nodes", "compile": "hardware.compile",
    "limit_train_batches": "debug.limit_batches", "limit_batches": "debug.limit_batches", "output": "run_dir",
    "output_dir": "run_dir", "out_dir": "run_dir", "log_dir": "run_dir", "project": "run_dir", "name": "run_dir",
    "save_dir": "run_dir", "exp_name": "run_dir", "conf": "min_score", "checkpoint": "run", "ckpt": "run",
    "ckpt_path": "run", "random_state": "seed", "random_seed": "seed", "size": "dataset.image_size",
    "target_size": "dataset.image_size", "validation_split": "dataset.val_fraction", "sched": "recipe.schedule",
    "warmup": "recipe.schedule.warmup_epochs", "lr_gamma": "recipe.schedule.gamma",
    "es_patience": "recipe.early_stopping.patience", "early_stop": "recipe.early_stopping.patience",
    "early_stopping": "recipe.early_stopping.patience", "fliplr": "dataset.augment.horizontal_flip.p",
    "nesterov": "recipe.optimizer.nesterov", "label_smoothing": "head.label_smoothing",
    "smoothing": "head.label_smoothing", "mean": "dataset.mean", "std": "dataset.std", "work_dir": "run_dir",
    "samples_per_gpu": "recipe.batch_size", "exp": "run_dir", "sync_bn": "hardware.sync_batch_norm",
    "load_from": "weights", "weights_path": "weights", "pretrained_weights": "weights",
}  # fmt: skip
_SPECIAL: Mapping[str, str] = {
    "device": "Type hardware=cpu or hardware=gpu; several: hardware.devices=2",
    "pretrained": "Type weights=imagenet for a model, backbone.weights=imagenet for a backbone",
    "gpu": "Type hardware=gpu, or hardware=cpu; several: hardware.devices=2",
    "cuda": "Type hardware=gpu, or hardware=cpu",
    "amp": "Type hardware.precision=bf16",
    "fp16": "Type hardware.precision=16",
    "half": "Type hardware.precision=16",
    "help": "Type python -m visionkit --help",
    "verbose": "Leave it out: log.txt in the run folder has all that is said",
    "cos_lr": "Type recipe.schedule=cosine",
    "resume_from": "Type python -m visionkit train run=FOLDER resume=true, or run=latest resume=true",
    "tensorboard": "Type logger=tensorboard",
    "cache": "Images are kept in memory as far as there is room: dataset.cache_mb=4096",
    "train_dir": "Type dataset.root=FOLDER, the folder that holds train/ and val/",
    "val_dir": "Type dataset.root=FOLDER, the folder that holds train/ and val/",
    "test_dir": "Type dataset.root=FOLDER, the folder that holds train/, val/ and test/",
    "classes": "Leave it out: the data set says how many classes there are",
    "n_classes": "Leave it out: the data set says how many classes there are",
    "num_class": "Leave it out: the data set says how many classes there are",
    "max_steps": "A run is counted in epochs. Type recipe.epochs=NUMBER",
    "steps": "A run is counted in epochs. Type recipe.epochs=NUMBER",
    "total_iters": "A run is counted in epochs. Type recipe.epochs=NUMBER",
    "shuffle": "Leave it out: training images are shuffled in each epoch, from seed",
    "augment": "Type 'dataset.augment={horizontal_flip: {p: 0.5}}', or dataset.augment=null for none",
    "fast_dev_run": "Type debug=fast",
    "mode": "The verb says it, and stands first: python -m visionkit train",
    "num_classes": "Leave it out: the data set says how many classes there are",
    "nc": "Leave it out: the data set says how many classes there are",
    "config": "Type backbone=my_net.yaml for a network; for groups of your own: --config-dir FOLDER",
}
_RUN_WORDS = ("model", "ckpt", "ckpt_path", "checkpoint", "weights_path", "load_from")
"""What other tools call the model that is evaluated, or that predicts."""

_CHOICES: Mapping[str, Mapping[str, str]] = {
    "task": {
        "classification": "classify", "cls": "classify", "classifier": "classify", "detection": "detect",
        "object_detection": "detect", "det": "detect", "segmentation": "segment", "semantic": "segment",
        "semantic_segmentation": "segment", "seg": "segment", "instance_segmentation": "instance",
    },
    "hardware": {"cuda": "gpu", "0": "gpu", "mps": "auto"},
    "logger": {"tb": "tensorboard", "false": "none", "null": "none"},
    "debug": {"true": "fast", "1": "fast", "false": "none", "null": "none"},
    "dataset": {
        "imagefolder": "folder", "image_folder": "folder", "pascal_voc": "voc", "pascal": "voc", "mscoco": "coco",
    },
    "recipe": {"Adam": "adam", "AdamW": "adamw", "SGD": "sgd"},
}  # fmt: skip
_VERBS: Mapping[str, str] = {
    "fit": "train", "val": "evaluate", "validate": "evaluate", "test": "evaluate", "eval": "evaluate",
    "infer": "predict", "inference": "predict", "detect": "train task=detect", "segment": "train task=segment",
    "classify": "train task=classify", "summary": "inspect", "info": "inspect", "help": "--help",
    "version": "--version", "sweep": "-m backbone=lenet,resnet20 seed=0,1", "multirun": "-m seed=0,1",
    "tune": "sweep=optuna recipe.lr='tag(log,interval(0.001,0.1))'",
    "search": "sweep=optuna recipe.lr='tag(log,interval(0.001,0.1))'", "resume": "train run=latest resume=true",
    "finetune": "train weights=imagenet", "download": "dataset=cifar10 dataset.root=data dataset.download=true",
    "show": "config", "print": "config",
}  # fmt: skip
_TO_COME: Mapping[str, str] = {
    "export": "A run's weights lie in its folder as model.safetensors, which any program with torch can read. Where "
    "the folder is: python -m visionkit evaluate run=latest",
    "check": "A data set is checked before it is trained on; with strict=true whatever is wrong with it ends the run. "
    "Type: python -m visionkit train dataset=folder dataset.root=FOLDER strict=true debug=fast",
}


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
    if key.startswith(("hydra.", "hydra/")):
        raise UserError(
            f"'{key}={text}' does nothing here. Of Hydra's own keys visionkit takes hydra.run.dir and hydra.sweep.dir, "
            "which mean run_dir, and in a sweep (-m) hydra/launcher and hydra.launcher.n_jobs. Leave it out."
        )
    word = _normalized(key)
    if verb in ("evaluate", "predict") and word in _RUN_WORDS:
        raise UserError(f"'{key}={text}': {verb} takes the model of a run. Type run=FOLDER, or run=latest")
    section, _, rest = word.partition(".")
    others = [name for name, other in VERBS.items() if key in other.options]
    if key in _SPECIAL:
        also = f" (it is a key of {' and '.join(others)})" if others else ""
        raise UserError(f"'{key}={text}': no key is called '{key}' here{also}. {_SPECIAL[key]}")
    if others and (key not in _KEYS or _KEYS[key] in VERBS[verb].options):
        raise UserError(
            f"'{key}={text}': '{key}' is a key of {' and '.join(others)} alone. "
            f"Try: python -m visionkit {others[0]} ... {key}={text}"
        )
    meant = _KEYS.get(word)
    if meant is None and rest and section not in GROUPS:
        meant = _KEYS.get(rest.rpartition(".")[2])
    if meant is None and word != key and section in (*GROUPS, *TOP_KEYS):
        meant = word
    if meant is not None and meant.rpartition(".")[2] in VERBS[verb].options:
        meant = meant.rpartition(".")[2]  # such as image_size of inspect
    if meant is not None:
        owners = [name for name, other in VERBS.items() if meant in other.options]
        command = f"python -m visionkit {owners[0]} ... " if owners and verb not in owners else ""
        raise UserError(f"unknown key '{key}'. Did you mean '{meant}'? Type {command}{_typed(meant, text)}")


def _normalized(word: str) -> str:
    return word.lower().replace("-", "_")


def _typed(key: str, text: str) -> str:
    """The override that a foreign key and its value stand for."""
    if key == "backbone" and text not in group_names("backbone"):
        return "backbone=NAME, such as backbone=resnet18; python -m visionkit list backbones shows all"
    if key == "dataset.root" and text.endswith((".yaml", ".yml")):
        return "dataset=yolo dataset.root=FOLDER, the folder in which that file lies"
    if key == "head.loss" and "{" not in text:
        return f"'head.loss={{{text}: 1.0}}', losses and their factors; python -m visionkit list losses shows all"
    if key == "run" and text.endswith((".ckpt", ".pt", ".pth", ".safetensors")):
        return f"run=FOLDER for a run, by the folder in which its config.yaml lies, or weights={text} for weights alone"
    return f"{key}={text.lower() if key in ('recipe.optimizer', 'recipe.schedule') else text}"


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
    key = name if name in (*GROUPS, *TOP_KEYS) else _KEYS.get(name, name if is_option else None)
    if key is not None:
        hint = f"Settings have no dashes: {_typed(key, value) if value else f'{key}=VALUE'}"
    elif name in _SPECIAL:
        hint = _SPECIAL[name]
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
    if lower in _TO_COME:
        raise UserError(f"there is no verb '{word}' yet. {_TO_COME[lower]}")
    if lower in _VERBS:
        raise UserError(f"no verb is called '{word}'. Type: python -m visionkit {_VERBS[lower]}")
    raise UserError(explain_word(word, rest))


def explain_word(word: str, rest: Sequence[str] = (), *, verb: str = "") -> str:
    """What to type instead of a word that is neither verb, flag nor ``key=value``.

    Args:
        word: The word.
        rest: The arguments behind it.
        verb: The verb of the command; empty if the word stands in its place.
    """
    key = _normalized(word)
    key = key if key in (*GROUPS, *TOP_KEYS) or key.partition(".")[0] in GROUPS else _KEYS.get(key, "")
    following = rest[0] if rest else ""
    if following.startswith("="):
        value = following[1:] or (rest[1] if len(rest) > 1 else "VALUE")
        return f"'{word} {following}': there are spaces around the =. Type {key or word}={value}"
    if key:
        value = following if following and "=" not in following and following not in VERBS else ""
        return (
            f"'{word}' has no value. Settings are given as key=value: {_typed(key, value) if value else key + '=VALUE'}"
        )
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
    words = _CHOICES.get(group, {})
    return words.get(choice) or words.get(_normalized(choice))
