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
from visionkit.backbones.weights.load import (
    adapt_input_conv,
    clean_torchvision_state,
    load_backbone_weights,
    load_strictly,
    read_weights,
)
from visionkit.backbones.weights.sources import LoadedWeights
from visionkit.backbones.weights.torchvision_names import torchvision_names
from visionkit.backbones.weights.torchvision_tables import FAMILIES
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError
from visionkit.heads import HeadSpec, read_head
from visionkit.heads.detection import DetectionSpec
from visionkit.heads.segmentation.spec import SegmentationSpec
from visionkit.models.assemble import assemble
from visionkit.models.normalize import Normalize
from visionkit.models.vision_model import VisionModel
from visionkit.models.weights.torchvision_detectors import (
    detector_names,
    fit_classes,
    read_detector_weights,
    update_names,
)
from visionkit.models.weights.torchvision_segmenters import (
    CLASS_LAYERS,
    drop_unused_auxiliary,
    read_segmenter_weights,
    segmenter_names,
)

__all__ = ["convert_state_dict", "load_model_weights", "load_initial_weights"]

Layout = Literal["visionkit", "torchvision"]


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
    for key, layout in (("source", source), ("target", target)):
        if layout not in get_args(Layout):
            raise UserError(f"{key}: no layout is called '{layout}'. Known: {', '.join(get_args(Layout))}.")
    if source == target:
        return dict(state_dict)
    head_spec = read_head(head, task=task)
    to_torchvision = _names(backbone, head_spec)
    if source == "torchvision" and isinstance(head_spec, DetectionSpec):
        state_dict = update_names(state_dict, head_spec, to_torchvision.values())
    elif source == "torchvision" and isinstance(head_spec, SegmentationSpec):
        state_dict = drop_unused_auxiliary(state_dict, head_spec)
    elif source == "torchvision":
        state_dict = clean_torchvision_state(state_dict)
    renaming = to_torchvision if source == "visionkit" else {new: old for old, new in to_torchvision.items()}
    missing = [name for name in renaming if name not in state_dict]
    extra = [name for name in state_dict if name not in renaming]
    if missing or extra:
        raise UserError(
            f"these weights are not those of this network as {source} names them: "
            f"missing ({len(missing)}) {missing[:4]}, left over ({len(extra)}) {extra[:4]}."
        )
    renamed = OrderedDict((new, state_dict[old]) for old, new in renaming.items())
    version = FAMILIES[(read_backbone(backbone).torchvision or {})["family"]].version
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
    model_state, spec, head = model.state_dict(), model.backbone.spec, getattr(model.head, "spec", None)
    if isinstance(head, DetectionSpec):
        weights = read_detector_weights(source, spec, head, model_state)
        state, notes = fit_classes(weights.state, model_state, head, source=str(source))
    elif isinstance(head, SegmentationSpec):
        weights = read_segmenter_weights(source, spec, head, model_state)
        layers = [layer for layer in CLASS_LAYERS if f"{layer}.weight" in model_state]
        state, notes = _keep_output_layers(weights.state, model_state, layers, source=str(source))
    else:
        weights = read_weights(source, spec, model_state)
        layers = [list(model_state)[-1].rpartition(".")[0]]
        state, notes = _keep_output_layers(weights.state, model_state, layers, source=str(source))
    notes = adapt_input_conv(state, model_state, spec.in_channels, source=str(source)) + notes
    try:
        load_strictly(model, state, source=str(source))
    except UserError as error:
        if not state.keys() & model_state.keys() or any(name.startswith("head.") for name in state):
            raise
        raise UserError(f"{error} There is no head in it; for the backbone alone: backbone.weights={source}") from None
    return LoadedWeights(weights.mean_std, notes)


def _keep_output_layers(
    state: Mapping[str, Tensor], model_state: Mapping[str, Tensor], layers: list[str], *, source: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Where output layers differ in the number of classes alone, replace the file's by the model's, with a note."""
    names = [name for name in model_state if name.rpartition(".")[0] in layers]
    if any(name not in state or state[name].shape[1:] != model_state[name].shape[1:] for name in names):
        return dict(state), ()
    file_classes, model_classes = (tensors[names[0]].shape[0] for tensors in (state, model_state))
    if file_classes == model_classes:
        return dict(state), ()
    note = (
        f"weights: '{source}' tells {file_classes} classes apart, and here are {model_classes}: "
        f"the output layer ({', '.join(layers)}) is left out and starts afresh"
    )
    return {**state, **{name: model_state[name] for name in names}}, (note,)


def _names(backbone: str | Path | Mapping[str, Any], head: HeadSpec) -> dict[str, str]:
    """The name in torchvision of each tensor of the model."""
    spec = replace(read_backbone(backbone), weights=None)
    with torch.device("meta"):
        state = assemble(spec, head, num_classes=2, image_size=pair(spec.image_size)).state_dict()
    if isinstance(head, DetectionSpec):
        return detector_names(state, spec, head)
    if isinstance(head, SegmentationSpec):
        return segmenter_names(state, spec, head)
    return torchvision_names(state, spec)
