"""Writes the weights of a run, loads them into a model, and checks data against those of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from visionkit.backbones import BackboneSpec, read_backbone
from visionkit.data_file import read_data_file
from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.heads import HeadSpec
from visionkit.runs.checkpoint_file import Checkpoint, read_checkpoint
from visionkit.runs.consistency import check_recorded_config, check_recorded_data, network_config
from visionkit.runs.folder import RunFolder
from visionkit.runs.objects import RunObjects, is_marker
from visionkit.runs.weight_fit import advice, load_strictly
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.models import VisionModel
    from visionkit.runs.config import RunConfig

__all__ = [
    "build_run_model",
    "check_data",
    "check_splits",
    "export_best",
    "load_best",
    "load_run_model",
    "load_weights",
    "open_data",
    "read_data_info",
    "save_weights",
]

_UNREADABLE = (
    SafetensorError, KeyError, OSError, OverflowError, RecursionError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_DATA, _NETWORK = _RECORDED = ("data", "network")
"""Metadata of ``model.safetensors``, each as JSON: the content of ``data.json``, and `network_config`."""

_LOSS_WEIGHTS = "head.loss_modules."
"""The weights of a loss that was given in Python, in the model of a run."""


def load_best(model: nn.Module, folder: RunFolder, *, initial: Mapping[str, Tensor] | None = None) -> Checkpoint:
    """Load the weights of the best checkpoint into a model.

    Args:
        model: The model.
        folder: The run.
        initial: The state of the model as it was built, as in `visionkit.backbones.weights.finite.non_finite`; None if
            it is the present one.

    Returns:
        The checkpoint, as it was read.

    Raises:
        UserError: If the file is damaged, holds more than tensors and numbers, or does not fit the model.
    """
    best = read_checkpoint(folder.best_checkpoint)
    load_strictly(model, best.weights, file=best.file, initial=initial)
    return best


def save_weights(state_dict: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write weights as a safetensors file: contiguous tensors under their names in the state dict, and metadata."""
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state_dict.items()
    }
    content = save_safetensors(tensors, metadata={"format": "pt", **(metadata or {})})
    write_atomic(path, _with_sorted_metadata(content), flush=True)


def _with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file with its metadata in order: the library writes them in another one each time."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors lie at multiples of 8 bytes
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(content)[start:]])


def export_best(folder: RunFolder, best: Checkpoint | None = None) -> None:
    """Write the weights of the best checkpoint to ``model.safetensors``, if there is one.

    Args:
        folder: The run.
        best: The checkpoint, where it has been read.

    Raises:
        UserError: If the checkpoint is damaged.
    """
    if best is None:
        if not folder.best_checkpoint.exists():
            return
        best = read_checkpoint(folder.best_checkpoint)
    recorded = {_DATA: best.data, _NETWORK: network_config(best.config)}
    metadata = {key: json.dumps(value, sort_keys=True) for key, value in recorded.items() if value is not None}
    save_weights(best.weights, folder.weights_file, metadata=metadata)


def load_weights(model: nn.Module, folder: RunFolder, *, without: str | None = None) -> None:
    """Load the weights of a run into a model, strictly.

    Args:
        model: The model, freshly built.
        folder: The run.
        without: The beginning of the names that the model lacks; None where it has all.

    Raises:
        UserError: If there are none, the file is damaged, they do not fit the model, or ``config.yaml`` and
            ``data.json`` say otherwise than what they were trained with.
    """
    if not folder.weights_file.is_file() and folder.best_checkpoint.is_file():  # the run was killed
        best = read_checkpoint(folder.best_checkpoint)
        _check_recorded(folder, best.file, {_DATA: best.data, _NETWORK: network_config(best.config)})
        load_strictly(model, _but(best.weights, without), file=best.file)
        return
    if not folder.weights_file.is_file():
        raise UserError(
            f"run: '{folder.path}' has neither model.safetensors nor checkpoints/best.ckpt. "
            "Expected a run with at least one finished epoch. "
            f"Try: python -m visionkit train run={folder.path} resume=true"
        )
    try:
        with safe_open(folder.weights_file, framework="pt") as file:
            recorded = {key: json.loads(text) for key, text in (file.metadata() or {}).items() if key in _RECORDED}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except _UNREADABLE as error:
        raise UserError(
            f"run: '{folder.weights_file}' is no readable safetensors file: {error}. {advice(folder.weights_file)}"
        ) from None
    _check_recorded(folder, folder.weights_file, recorded)
    load_strictly(model, _but(weights, without), file=folder.weights_file)


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


def open_data(config: RunConfig, folder: RunFolder) -> Any:
    """The data of a run: a `visionkit.data.VisionDataModule`, prepared, and checked against what was trained on.

    Args:
        config: The run's configuration.
        folder: The run.

    Raises:
        UserError: If they cannot be read, or as `check_data` and `check_splits`.
    """
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    return datamodule


def _check_recorded(folder: RunFolder, file: Path, recorded: Mapping[str, Any]) -> None:
    """Check the files of a run against what its weights say that they were trained with.

    Raises:
        UserError: If they differ.
    """
    if not all(value is None or isinstance(value, Mapping) for value in recorded.values()):
        raise UserError(f"run: the metadata of '{file}' hold no mappings. Expected the file that train wrote.")
    if recorded.get(_DATA) is not None:
        check_recorded_data(recorded[_DATA], read_data_info(folder), file=file, run=folder.path)
    if recorded.get(_NETWORK) is not None:
        plain = network_config(folder.read_config()) or {}
        check_recorded_config(recorded[_NETWORK], plain, file=file, run=folder.path)
