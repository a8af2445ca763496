"""The override that a key and value of another tool stand for, valid as typed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args, get_type_hints

from visionkit.config_files import group_names
from visionkit.settings import OPTIMIZERS, SCHEDULES, Hardware
from visionkit.settings.durations import is_duration
from visionkit.sizes import IMAGE_SIZE

__all__ = ["override_advice"]


class _Number(NamedTuple):
    """The numbers that a key takes.

    Attributes:
        example: What to type where the value is none of them.
        low: The smallest.
        high: The largest.
    """

    example: float
    low: float
    high: float


_COUNT = _Number(10, 1, 1_000_000)
_INTEGERS: Mapping[str, _Number] = {
    "recipe.epochs": _COUNT, "recipe.batch_size": _Number(32, 1, 2**20), "batch_size": _Number(32, 1, 65_536),
    "recipe.accumulate": _Number(2, 1, 1_000_000), "recipe.early_stopping.patience": _COUNT,
    "dataset.num_workers": _Number(2, 0, 1024), "hardware.devices": _Number(2, 1, 1_000_000),
    "hardware.num_nodes": _Number(2, 1, 1_000_000), "debug.limit_batches": _COUNT, "seed": _Number(1, 0, 2**32 - 1),
}  # fmt: skip
_FLOATS: Mapping[str, _Number] = {
    "recipe.lr": _Number(0.01, 1e-12, 1e30), "recipe.optimizer.weight_decay": _Number(1e-4, 0, 1_000_000),
    "recipe.optimizer.momentum": _Number(0.9, 0, 0.9999), "recipe.clip_norm": _Number(1.0, 1e-12, 1_000_000),
    "recipe.schedule.warmup_epochs": _Number(1, 0, 1_000_000), "recipe.schedule.gamma": _Number(0.1, 0, 1),
    "dataset.val_fraction": _Number(0.2, 1e-6, 0.499), "backbone.classifier.dropout": _Number(0.5, 0, 0.9999),
    "dataset.augment.horizontal_flip.p": _Number(0.5, 0, 1), "head.label_smoothing": _Number(0.1, 0, 0.9999),
    "backbone.stochastic_depth": _Number(0.1, 0, 0.9999), "min_score": _Number(0.3, 0, 1),
    "recipe.layer_decay": _Number(0.75, 1e-12, 1),
}  # fmt: skip
_BOOLEANS = (
    "dataset.download", "hardware.compile", "hardware.gradient_checkpointing", "hardware.sync_batch_norm",
    "recipe.optimizer.nesterov",
)  # fmt: skip
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "none", "null")
_OF_HARDWARE = ("hardware.accelerator", "hardware.precision", "hardware.strategy")
_WORDS: Mapping[str, Mapping[str, str]] = {
    "hardware.precision": {
        "fp32": "32", "float32": "32", "full": "32", "32-true": "32", "fp16": "16", "float16": "16", "16-mixed": "16",
        "half": "16", "mixed": "16", "amp": "16", "bfloat16": "bf16", "bf16-mixed": "bf16",
    },
    "hardware.accelerator": {"cuda": "gpu"},
    "recipe.schedule": {
        "cosineannealinglr": "cosine", "cosine_annealing": "cosine", "cos": "cosine", "steplr": "step",
        "multisteplr": "step", "multistep": "step", "onecycle": "one_cycle", "onecyclelr": "one_cycle",
        "polynomial": "poly", "polylr": "poly", "polynomiallr": "poly", "none": "constant", "null": "constant",
    },
}  # fmt: skip


def override_advice(key: str, text: str, *, task: str = "") -> str:
    """What to type for a value of a key, with a value in its place that the key takes where it takes not this one.

    Args:
        key: A key of visionkit.
        text: The value as typed for the key of another tool.
        task: The task that is typed too; empty for the one that is there unless another is typed.
    """
    if key == "backbone" and text not in group_names("backbone"):
        return "backbone=NAME, such as backbone=resnet18; python -m visionkit list backbones shows all"
    if key == "dataset.root" and text.endswith((".yaml", ".yml")):
        return "dataset=yolo dataset.root=FOLDER, the folder in which that file lies"
    if key == "head.loss":
        return _loss_advice(text, task or "classify")
    if key == "run" and text.endswith((".ckpt", ".pt", ".pth", ".safetensors")):
        return f"run=FOLDER for a run, by the folder in which its config.yaml lies, or weights={text} for weights alone"
    if key == "hardware.devices" and text in ("0", "cpu", "none", "null"):
        return "hardware=cpu for no GPU, hardware=gpu for one"
    if key == "hardware.devices" and text in ("-1", "all", "auto"):
        return "hardware.devices=auto for all GPUs"
    if key in ("weights", "backbone.weights") and text.lower() in (*_TRUE, *_FALSE, "default"):
        return f"{key}={'null' if text.lower() in _FALSE else 'imagenet'}"
    if key == "recipe.optimizer":
        name = text.strip("'\"").lower()
        names = [choice for choice in group_names("recipe") if choice in OPTIMIZERS.names()]
        return f"recipe={name}" if name in names else f"recipe={names[0]}; optimizers: {', '.join(names)}"
    if key == "recipe.optimizer.momentum" and _as_number(text) == 0:
        return "recipe.optimizer.momentum=0 recipe.optimizer.nesterov=false"
    if key == "recipe.freeze" and not text.strip("0").isdecimal():
        none = text.lower() in _FALSE
        return (
            f"recipe.freeze={'null, for none' if none else '2, the number of stages of the backbone, from the image'}"
        )
    if key == "recipe.max_time" and not is_duration(text):
        return "recipe.max_time=20m, also 30s or 1h30m"
    if key == "task.metrics" and not text.startswith("["):
        return "task.metrics=[NAME,...] for further ones; python -m visionkit list metrics shows all"
    if key == "recipe.early_stopping.patience":
        return f"'recipe.early_stopping={{patience: {_integer(key, text)[0]}}}'{_integer(key, text)[1]}"
    if key in ("dataset.mean", "dataset.std") and not text.startswith("["):
        number = _as_number(text)
        value = f"{number:g}" if number is not None and 0 < number <= 1_000_000 else "0.5"
        return f"{key}=[{value},{value},{value}], a number for each channel, for pixels from 0 to 1"
    return "".join([f"{key}=", *_value_advice(key, text)])


def _value_advice(key: str, text: str) -> tuple[str, str]:
    """The value, and in words which other ones there are if it is not the one typed."""
    word = text.strip("'\"").lower()
    if key in _INTEGERS:
        return _integer(key, text)
    if key in _FLOATS:
        return _float(key, text)
    if key in ("dataset.image_size", "image_size"):
        return _size(text)
    if key in _BOOLEANS:
        return ("true" if word in _TRUE else "false", "") if word in (*_TRUE, *_FALSE) else ("true", ", or false")
    word = _WORDS.get(key, {}).get(word, word)
    names = _names(key)
    if names:
        return (word, "") if word in names else (names[0], f"; those there are: {', '.join(names)}")
    return text, ""


def _names(key: str) -> Sequence[str]:
    """The words that a key takes; none for any other key."""
    if key == "recipe.schedule":
        return SCHEDULES.names()
    return get_args(get_type_hints(Hardware)[key.partition(".")[2]]) if key in _OF_HARDWARE else ()


def _integer(key: str, text: str) -> tuple[str, str]:
    bounds = _INTEGERS[key]
    number = _as_number(text)
    if number is not None and number == int(number) and bounds.low <= number <= bounds.high:
        return str(int(number)), ""
    return str(bounds.example), f", a whole number from {bounds.low} to {bounds.high}"


def _float(key: str, text: str) -> tuple[str, str]:
    bounds = _FLOATS[key]
    if "." in text and _are_several(text, bounds):
        return text, ""
    number = _as_number(text)
    if number is not None and bounds.low <= number <= bounds.high:
        return text.strip("'\"").replace(",", "."), ""
    low, high = ("above 0" if 0 < bounds.low < 1e-3 else f"from {bounds.low:g}"), f"{bounds.high:g}"
    return f"{bounds.example:g}", f", a number {low} to {high}"


def _are_several(text: str, bounds: _Number) -> bool:
    """Whether the text is the values of a sweep, such as ``0.1,0.2``."""
    numbers = [_as_number(part) for part in text.split(",")]
    return len(numbers) > 1 and all(x is not None and bounds.low <= x <= bounds.high for x in numbers)


def _size(text: str) -> tuple[str, str]:
    """A size of other tools, which also write ``640,480``, ``640x480`` and ``(640, 480)``."""
    sides = [int(side) for side in re.findall(r"\d{1,9}", text)]
    is_size = re.fullmatch(r"[\[('\"]*\d+(\s*[x,* ]\s*\d+)?[\])'\"]*", text) is not None
    if not is_size or any(not 1 <= side <= IMAGE_SIZE.maximum for side in sides):
        return str(IMAGE_SIZE.example), f", up to {IMAGE_SIZE.maximum}, or [HEIGHT,WIDTH]"
    return (str(sides[0]), "") if len(sides) == 1 else (f"[{sides[0]},{sides[1]}]", ", [HEIGHT,WIDTH]")


def _as_number(text: str) -> float | None:
    """The finite number that a text means, also with a comma before its decimals."""
    try:
        number = float(text.strip("'\"").replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _loss_advice(text: str, task: str) -> str:
    from visionkit.losses import spec

    registries = {"classify": spec.LABEL_LOSSES, "multilabel": spec.LABEL_SET_LOSSES, "segment": spec.PIXEL_LOSSES}
    if task not in registries:
        return f"head=NAME: the losses of task={task} belong to its head; python -m visionkit list heads shows all"
    if "{" in text:
        return f"'head.loss={text}'"
    names = registries[task].names()
    if text in names:
        return f"'head.loss={{{text}: 1.0}}', losses and their factors; python -m visionkit list losses shows all"
    elsewhere = [other for other, registry in registries.items() if text in registry.names()]
    found = f"'{text}' is a loss of task={' and task='.join(elsewhere)}" if elsewhere else f"no loss is called '{text}'"
    return f"'head.loss={{{names[0]}: 1.0}}': {found}; of task={task} there are: {', '.join(names)}"
