"""Writes the weights of a run, loads them into a model, and checks data against those of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from visionkit.backbones import BackboneSpec, read_backbone
from visionkit.backbones.weights.finite import first_non_finite
from visionkit.data_file import read_data_file
from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.heads import HeadSpec
from visionkit.runs.checkpoint_file import read_checkpoint
from visionkit.runs.folder import RunFolder
from visionkit.runs.objects import RunObjects, is_marker
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.models import VisionModel

__all__ = [
    "build_run_model",
    "check_data",
    "check_splits",
    "export_best",
    "load_best",
    "load_run_model",
    "load_weights",
    "read_data_info",
    "save_weights",
]


_LOSS_WEIGHTS = "head.loss_modules."
"""The weights of a loss that was given in Python, in the model of a run."""


def load_best(model: nn.Module, folder: RunFolder, *, without: str | None = None) -> int:
    """Load the weights of the best checkpoint into a model; see `load_weights`.

    Returns:
        The epoch, counted from 1.

    Raises:
        UserError: If the file is damaged, holds more than tensors and numbers, or does not fit the model.
    """
    best = read_checkpoint(folder.best_checkpoint)
    _load_strictly(model, _but(best.weights, without), file=best.file)
    return best.epoch + 1


def save_weights(state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Write weights as a safetensors file: contiguous tensors under their names in the state dict."""
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state_dict.items()
    }
    write_atomic(path, save_safetensors(tensors, metadata={"format": "pt"}), flush=True)


def export_best(folder: RunFolder) -> bool:
    """Write the weights of the best checkpoint to ``model.safetensors``; return whether there is a best checkpoint.

    Raises:
        UserError: If the checkpoint is damaged.
    """
    if not folder.best_checkpoint.exists():
        return False
    save_weights(read_checkpoint(folder.best_checkpoint).weights, folder.weights_file)
    return True


def load_weights(model: nn.Module, folder: RunFolder, *, without: str | None = None) -> None:
    """Load the weights of a run into a model, strictly.

    Args:
        model: The model.
        folder: The run.
        without: The beginning of the names that the model lacks; None where it has all.

    Raises:
        UserError: If there are none, the file is damaged, or they do not fit the model.
    """
    if not folder.weights_file.is_file() and folder.best_checkpoint.is_file():  # the run was killed
        load_best(model, folder, without=without)
        return
    if not folder.weights_file.is_file():
        raise UserError(
            f"run: '{folder.path}' has neither model.safetensors nor checkpoints/best.ckpt. "
            "Expected a run with at least one finished epoch. "
            f"Try: python -m visionkit train run={folder.path} resume=true"
        )
    try:
        weights = load_safetensors(folder.weights_file)
    except (SafetensorError, KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"run: '{folder.weights_file}' is no readable safetensors file: {error}") from None
    _load_strictly(model, _but(weights, without), file=folder.weights_file)


def _but(weights: Mapping[str, Tensor], without: str | None) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if without is None or not name.startswith(without)}


def build_run_model(backbone: BackboneSpec, head: HeadSpec, data: Mapping[str, Any]) -> VisionModel:
    """The model of a run, freshly initialised.

    Args:
        backbone: The backbone.
        head: The head.
        data: The result of `read_data_info`; its class weights replace those of the head.
    """
    from visionkit.models.assemble import assemble

    if data.get("class_weights") is not None:
        values: Any = head
        head = replace(values, class_weights=tuple(data["class_weights"]))
    return assemble(
        backbone,
        head,
        num_classes=len(data["class_names"]),
        image_size=tuple(data["image_size"]),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )


def load_run_model(folder: RunFolder, objects: RunObjects | None = None) -> VisionModel:
    """The model of a run with the weights of its best epoch, on the CPU and in evaluation mode.

    The weights that the run started from are not read: the trained ones replace them.

    Args:
        folder: A run that has finished at least one epoch.
        objects: The head and the loss that were given in Python; a loss may be left out for predictions.

    Raises:
        UserError: If the folder lacks a file, its files do not fit each other, or an object is missing or too many.
    """
    plain, data = folder.read_config(), read_data_info(folder)
    backbone = read_backbone({**plain["backbone"], "weights": None}, in_channels=data["in_channels"])
    objects = objects or RunObjects()
    objects.check_present(plain, predicts=True)
    objects.check_fits_run(plain, folder=folder.path)
    head = objects.parse_head(plain["head"], task=plain["task"]["name"])
    model = build_run_model(backbone, head, data)
    without_loss = objects.loss is None and is_marker(plain["head"].get("loss"))
    load_weights(model, folder, without=_LOSS_WEIGHTS if without_loss else None)
    return model.eval()


def read_data_info(folder: RunFolder) -> dict[str, Any]:
    """The content of ``data.json``, as `visionkit.data_file.read_data_file`."""
    return read_data_file(folder.path)


def check_data(folder: RunFolder, info: Any) -> None:
    """Check that data have the classes, channels and image size of the data that a run was trained on.

    Args:
        folder: The run, with its ``data.json``.
        info: The `visionkit.data.DataInfo` of the current data.

    Raises:
        UserError: If classes, channels or image size differ; the message names the first difference.
    """
    stored = read_data_info(folder)
    hint = (
        f"Numbers would mean nothing. Expected data like those that '{folder.path}' was trained on. "
        "Try another dataset.root=..., or train a new run on these data."
    )
    pairs = zip_longest(stored["class_names"], info.class_names)
    for index, (trained, current) in enumerate(pairs):
        if trained != current:
            before, now = ("no such class" if name is None else f"'{name}'" for name in (trained, current))
            raise UserError(
                f"dataset: class {index} is {before} in the run ({len(stored['class_names'])} classes), but {now} in "
                f"data set '{info.name}' ({len(info.class_names)} classes). {hint}"
            )
    for key in ("in_channels", "image_size"):
        trained, current = describe(stored[key]), describe(getattr(info, key))
        if trained != current:
            raise UserError(f"dataset.{key}: the run has {trained}, but data set '{info.name}' has {current}. {hint}")


def check_splits(folder: RunFolder, datamodule: Any) -> None:
    """Check that a random split of the data is the one that the run was trained with.

    Args:
        folder: The run.
        datamodule: A `visionkit.data.VisionDataModule`.

    Raises:
        UserError: If the data source makes the split at random and the run has no ``splits.json``.
    """
    if datamodule.has_generated_splits and not folder.splits_file.is_file():
        raise UserError(
            f"run: '{folder.path}' has lost its splits.json, which says what lies in train, val and test; divided "
            "anew, images that were trained on would be tested. Put the file back, or train again: "
            f"python -m visionkit train run={folder.path}"
        )


def _load_strictly(model: nn.Module, weights: Mapping[str, Tensor], *, file: Path) -> None:
    """Load weights into a model.

    Raises:
        UserError: If names or shapes differ, or a value is not finite.
    """
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"run: the weights in '{file}' do not fit its config.yaml: {reason}") from None
    name = first_non_finite(model.state_dict())
    if name is not None:
        raise UserError(
            f"run: the weights in '{file}' are not finite, such as '{name}': what the model says would mean nothing. "
            "Expected numbers. Try another run, or train again with a smaller recipe.lr"
        )
