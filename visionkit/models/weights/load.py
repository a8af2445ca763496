"""Loading the weights of whole models, and converting state dicts between visionkit's and torchvision's layouts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from visionkit.backbones import read_backbone
from visionkit.backbones.weights.layout import TorchvisionLayout
from visionkit.backbones.weights.load import (
    adapt_input_conv,
    load_backbone_weights,
    load_strictly,
    read_weights,
)
from visionkit.backbones.weights.sources import LoadedWeights
from visionkit.backbones.weights.torchvision_tables import FAMILIES
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError
from visionkit.heads import HeadSpec, read_head
from visionkit.models.assemble import assemble
from visionkit.models.normalize import Normalize
from visionkit.models.vision_model import VisionModel
from visionkit.models.weights.layouts import layout_of

__all__ = ["convert_state_dict", "load_model_weights", "load_initial_weights"]

Layout = Literal["visionkit", "torchvision"]

_NUM_COCO_ROWS = 91
"""Rows of the class layers of torchvision's detectors: background, and COCO's category ids, which have gaps."""


def convert_state_dict(
    state_dict: Mapping[str, Tensor],
    backbone: str | Path | Mapping[str, Any],
    *,
    task: str = "classify",
    head: str | Mapping[str, Any] | None = None,
    source: Layout = "torchvision",
    target: Layout = "visionkit",
) -> dict[str, Tensor]:
    """Rename the tensors of a whole model to those of another library.

    Args:
        state_dict: Names to tensors, in the layout ``source``; torchvision's auxiliary classifiers are dropped where
            the head has none.
        backbone: The backbone of the model; its file names the family in torchvision.
        task: The task of the model.
        head: The head of the model; the task's default unless given.
        source: The layout of ``state_dict``.
        target: The layout of the result.

    Returns:
        The same tensors under the names of ``create_model(task, backbone, head=head).state_dict()``,
        or those of torchvision's model.

    Raises:
        UserError: If the backbone has no counterpart, or names are missing or left over.
    """
    for key, name in (("source", source), ("target", target)):
        if name not in get_args(Layout):
            raise UserError(f"{key}: no layout is called '{name}'. Known: {', '.join(get_args(Layout))}.")
    if source == target:
        return dict(state_dict)
    layout, to_torchvision = _layout_and_names(backbone, read_head(head, task=task))
    if source == "torchvision":
        state_dict = layout.drop_unused(layout.update(state_dict, to_torchvision.values(), file=None))
    renaming = to_torchvision if source == "visionkit" else {new: old for old, new in to_torchvision.items()}
    missing = [name for name in renaming if name not in state_dict]
    extra = [name for name in state_dict if name not in renaming]
    if missing or extra:
        raise UserError(
            f"these weights are not those of this network as {source} names them: "
            f"missing ({len(missing)}) {missing[:4]}, left over ({len(extra)}) {extra[:4]}."
        )
    renamed = OrderedDict((new, state_dict[old]) for old, new in renaming.items())
    version = FAMILIES[(layout.spec.torchvision or {})["family"]].version
    if target == "torchvision" and version is not None:
        renamed._metadata = {"": {"version": version}}  # type: ignore[attr-defined]
    return renamed


def load_initial_weights(
    model: VisionModel, *, weights: str | Path | None, backbone_weights: str | Path | None
) -> LoadedWeights:
    """Load weights into a model or into its backbone alone, and take over their mean and std.

    Args:
        model: The model.
        weights: The source of the whole model's weights, or None.
        backbone_weights: The source of the backbone's weights, used where ``weights`` is None.

    Raises:
        UserError: If there are no such weights, they cannot be read, or do not fit.
    """
    loaded = LoadedWeights()
    if weights is not None:
        loaded = load_model_weights(model, weights)
    elif backbone_weights is not None:
        loaded = load_backbone_weights(model.backbone, backbone_weights)
    if loaded.mean_std is not None:
        model.normalize = Normalize(*loaded.mean_std)
    return loaded


def load_model_weights(model: VisionModel, source: str | Path) -> LoadedWeights:
    """Load weights of the same architecture into a whole model.

    Where the weights are for other channels, the filters of the first convolution are summed or repeated; where they
    are for another number of classes, the output layer keeps its initial values. The notes of the result say so. The
    mean and std of the weights are returned, not applied.

    Args:
        model: The model.
        source: ``imagenet`` (or ``imagenet_v1``, ``imagenet_v2``), for detection and segmentation ``coco``, a file in
            visionkit's or torchvision's layout, or ``run:FOLDER``.

    Raises:
        UserError: If there are no such weights, they cannot be read, or do not fit.
    """
    model_state, spec = model.state_dict(), model.backbone.spec
    layout = layout_of(spec, getattr(model.head, "spec", None))
    weights = read_weights(source, model_state, layout)
    state, class_notes = fit_classes(weights.state, model_state, layout, source=str(source))
    notes = adapt_input_conv(state, model_state, spec.in_channels, source=str(source)) + class_notes
    try:
        load_strictly(model, state, source=str(source))
    except UserError as error:
        if not state.keys() & model_state.keys() or any(name.startswith("head.") for name in state):
            raise
        raise UserError(f"{error} There is no head in it; for the backbone alone: backbone.weights={source}") from None
    return LoadedWeights(weights.mean_std, notes)


def fit_classes(
    state: Mapping[str, Tensor], model_state: Mapping[str, Tensor], layout: TorchvisionLayout, *, source: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Adapt the class layers: reduce COCO's rows to its classes, and keep the model's layers for other classes.

    Args:
        state: The weights to load, in visionkit's layout.
        model_state: The state dict of the model.
        layout: Says which are the class layers.
        source: The source of the weights, for the note.

    Returns:
        The adapted weights, and a note if the model's class layers are kept.
    """
    present = dict.fromkeys(map(_layer, model_state))
    class_layers = {list(present)[-1]: 1} if layout.class_layers is None else layout.class_layers
    layers = {layer: rows for layer, rows in class_layers.items() if layer in present}
    fitted, class_counts = dict(state), None
    for name, target in model_state.items():
        if _layer(name) not in layers or target.ndim == 0:
            continue
        value, num_rows = state.get(name), layers[_layer(name)]
        repeats = layout.num_anchors * num_rows
        if value is None or value.ndim == 0 or value.shape[1:] != target.shape[1:] or len(value) % repeats:
            continue  # load_strictly reports it
        value = torch.unflatten(value, 0, (layout.num_anchors, -1, num_rows))
        num_classes = len(target) // repeats
        if layout.coco_rows is not None and value.shape[1] == _NUM_COCO_ROWS != num_classes:
            value = value[:, layout.coco_rows()]
        if value.shape[1] != num_classes:
            class_counts = value.shape[1] - layout.background, num_classes - layout.background
        fitted[name] = target if value.shape[1] != num_classes else value.flatten(0, 2)
    if class_counts is None:
        return fitted, ()
    return fitted, (
        f"weights: '{source}' tells {class_counts[0]} classes apart, and here are {class_counts[1]}: "
        f"the output layer ({', '.join(layers)}) is left out and starts afresh",
    )


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _layout_and_names(
    backbone: str | Path | Mapping[str, Any], head: HeadSpec
) -> tuple[TorchvisionLayout, dict[str, str]]:
    """The layout of a model, and the name in torchvision of each of its tensors."""
    spec = replace(read_backbone(backbone), weights=None)
    with torch.device("meta"):
        state = assemble(spec, head, num_classes=2, image_size=pair(spec.image_size)).state_dict()
    layout = layout_of(spec, head)
    return layout, layout.names(state)
