"""Torchvision's detectors: names of their tensors, and their weights trained on COCO."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights.download import fetch
from visionkit.backbones.weights.load import Weights, mean_std_for_channels, read_state_dict
from visionkit.backbones.weights.sources import WeightSource, find_weights
from visionkit.backbones.weights.torchvision_names import torchvision_names
from visionkit.errors import UserError
from visionkit.heads import HEADS
from visionkit.heads.detection import DetectionSpec
from visionkit.heads.published_weights import COCO, published_model
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["DETECTORS", "Detector", "detector_names", "fit_classes", "update_names", "read_detector_weights"]

_NUM_COCO_ROWS = 91
"""Rows of the class layers of torchvision's weights: background, and COCO's category ids, which have gaps."""

_EPS = 1e-5
_MODELS_WITHOUT_EPS = ("retinanet_resnet50_fpn", "fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn")

Row = tuple[str, str | Callable[[re.Match[str]], str]]


@dataclass(frozen=True)
class Detector:
    """The names of a head's tensors in torchvision.

    Attributes:
        table: Patterns of visionkit's names, anchored at the start, and their replacements; the first match counts.
        old_names: Patterns of names in older torchvision files, and their replacements.
        class_layers: Visionkit's layers with rows per class, and the number of consecutive rows of a class; rows of
            all classes are repeated for each anchor.
        background: Whether the first class is background.
    """

    table: tuple[Row, ...]
    class_layers: Mapping[str, int]
    old_names: tuple[Row, ...] = ()
    background: bool = False


def _tower_layer(stride: int) -> Callable[[re.Match[str]], str]:
    """The name in torchvision's towers, whose indices grow by ``stride`` per convolution, norm and activation."""
    return lambda m: f"head.{m[1]}_head.conv.{stride * int(m[2]) + (m[3] == 'norm')}."


_TOWER = r"head\.(classification|regression)\.(\d+)\.(conv|norm)\."
_OLD_FPN: Row = (r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(?=weight|bias)", r"\1.0.")
_OLD_TOWER: Row = (r"(head\.\w+_head\.conv)\.(\d+)\.(?=weight|bias)", lambda m: f"{m[1]}.{int(m[2]) // 2}.0.")

_FASTER_RCNN = Detector(
    table=(
        (r"head\.rpn\.head\.tower\.conv\.", "rpn.head.conv.0.0."),
        (r"head\.rpn\.head\.objectness\.", "rpn.head.cls_logits."),
        (r"head\.rpn\.head\.deltas\.", "rpn.head.bbox_pred."),
        (r"head\.roi_heads\.box_head\.hidden([12])\.", lambda m: f"roi_heads.box_head.fc{5 + int(m[1])}."),
        (r"head\.roi_heads\.box_predictor\.classes\.", "roi_heads.box_predictor.cls_score."),
        (r"head\.roi_heads\.box_predictor\.boxes\.", "roi_heads.box_predictor.bbox_pred."),
    ),
    class_layers={"head.roi_heads.box_predictor.classes": 1, "head.roi_heads.box_predictor.boxes": 4},
    old_names=(_OLD_FPN, (r"rpn\.head\.conv\.(?=weight|bias)", "rpn.head.conv.0.0.")),
    background=True,
)

DETECTORS: dict[str, Detector] = {
    "faster_rcnn": _FASTER_RCNN,
    "fcos": Detector(
        table=(
            (_TOWER, _tower_layer(3)),
            (r"head\.logits\.", "head.classification_head.cls_logits."),
            (r"head\.distances\.", "head.regression_head.bbox_reg."),
            (r"head\.quality\.", "head.regression_head.bbox_ctrness."),
        ),
        class_layers={"head.logits": 1},
        old_names=(_OLD_FPN,),
    ),
    "mask_rcnn": Detector(
        table=(
            *_FASTER_RCNN.table,
            (r"head\.masks\.conv(\d+)\.conv\.", lambda m: f"roi_heads.mask_head.{int(m[1]) - 1}.0."),
            (r"head\.masks\.upsample\.", "roi_heads.mask_predictor.conv5_mask."),
            (r"head\.masks\.logits\.", "roi_heads.mask_predictor.mask_fcn_logits."),
        ),
        class_layers={**_FASTER_RCNN.class_layers, "head.masks.logits": 1},
        old_names=(
            *_FASTER_RCNN.old_names,
            (r"roi_heads\.mask_head\.mask_fcn(\d+)\.", lambda m: f"roi_heads.mask_head.{int(m[1]) - 1}.0."),
        ),
        background=True,
    ),
    "retinanet": Detector(
        table=(
            (_TOWER, lambda m: f"head.{m[1]}_head.conv.{m[2]}.{int(m[3] == 'norm')}."),
            (r"head\.logits\.", "head.classification_head.cls_logits."),
            (r"head\.deltas\.", "head.regression_head.bbox_reg."),
        ),
        class_layers={"head.logits": 1},
        old_names=(_OLD_FPN, _OLD_TOWER),
    ),
}
"""Torchvision's names by the name of the head."""


def detector_names(names: Iterable[str], spec: BackboneSpec, head: DetectionSpec) -> dict[str, str]:
    """The names in torchvision by visionkit's names.

    Args:
        names: Keys of a visionkit state dict.
        spec: The backbone of the model.
        head: The head, with its neck.

    Raises:
        UserError: If backbone or head has no counterpart in torchvision, or one of the names has none.
    """
    names = list(names)
    body = torchvision_names([name for name in names if name.startswith("backbone.")], spec)
    renamed = {name: f"backbone.body.{new}" for name, new in body.items()}
    table = (*_neck_table(spec, head), *_detector(head).table)
    for name in names:
        if name not in renamed:
            new = _rename(name, table)
            if new is None:
                raise UserError(f"head {HEADS.name_of(type(head))}: torchvision has no counterpart of '{name}'.")
            renamed[name] = new
    return {name: renamed[name] for name in names}


def update_names(state: Mapping[str, Tensor], head: DetectionSpec, names: Iterable[str]) -> dict[str, Tensor]:
    """Rename a torchvision state dict of any version to the current names.

    Args:
        state: The state dict of a file.
        head: The head of the model.
        names: Torchvision's current names. ``num_batches_tracked``, which frozen norms lack, is filled with zeros.
    """
    old = _detector(head).old_names
    counts = {name: torch.zeros((), dtype=torch.int64) for name in names if name.endswith(".num_batches_tracked")}
    return counts | {_rename(name, old) or name: value for name, value in state.items()}


def read_detector_weights(
    source: str | Path, spec: BackboneSpec, head: DetectionSpec, model_state: Mapping[str, Tensor]
) -> Weights:
    """Read the weights of a whole detector, renamed to visionkit's layout.

    Args:
        source: ``coco``, a file in visionkit's or torchvision's layout, or ``run:FOLDER``.
        spec: The backbone of the model.
        head: The head of the model.
        model_state: The state dict of the model.

    Raises:
        UserError: If there are no such weights, they cannot be read, or the model has no counterpart.
    """
    if str(source) == COCO:
        published = published_model(spec, head)
        origin = WeightSource(COCO, file=fetch(str(_published_weights(published).url), COCO, published))
    else:
        origin = find_weights(source, spec)
    assert origin.file is not None
    state = read_state_dict(origin.file)
    mean_std = origin.mean_std
    if not state.keys() & model_state.keys() and (str(source) == COCO or spec.torchvision):
        names = {new: name for name, new in detector_names(model_state, spec, head).items()}
        state = _add_eps(update_names(state, head, names), origin.file, head.torchvision_model(spec))
        state = {names.get(name, name): value for name, value in state.items()}
        mean_std = mean_std or (IMAGENET_MEAN, IMAGENET_STD)
    return Weights(state, mean_std_for_channels(mean_std, spec.in_channels))


def fit_classes(
    state: Mapping[str, Tensor], model_state: Mapping[str, Tensor], head: DetectionSpec, *, source: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Adapt the class layers: reduce COCO's rows to its classes, and keep the model's layers for other classes.

    Args:
        state: The weights to load, in visionkit's layout.
        model_state: The state dict of the model.
        head: The head, with its neck.
        source: The source of the weights, for the note.

    Returns:
        The adapted weights, and a note if the model's class layers are kept.
    """
    state = dict(state)
    detector = DETECTORS.get(HEADS.name_of(type(head)))
    if detector is None:
        return state, ()
    class_counts = None
    for layer, rows_per_class in detector.class_layers.items():
        for name in [name for name in model_state if name.rpartition(".")[0] == layer]:
            value, target = state.get(name), model_state[name]
            divisor = head.num_anchors * rows_per_class
            num_classes = len(target) // divisor
            if value is None or value.shape[1:] != target.shape[1:] or len(value) % divisor:
                return state, ()  # load_strictly reports it
            value = torch.unflatten(value, 0, (head.num_anchors, -1, rows_per_class))
            if value.shape[1] == _NUM_COCO_ROWS != num_classes:
                value = value[:, _coco_rows(background=detector.background)]
            if value.shape[1] != num_classes:
                class_counts = value.shape[1] - detector.background, num_classes - detector.background
            state[name] = target if value.shape[1] != num_classes else value.flatten(0, 2)
    if class_counts is None:
        return state, ()
    layers = ", ".join(detector.class_layers)
    return state, (
        f"weights: '{source}' tells {class_counts[0]} classes apart, and here are {class_counts[1]}: "
        f"the output layer ({layers}) is left out and starts afresh",
    )


def _add_eps(state: dict[str, Tensor], file: Path, model: str | None) -> dict[str, Tensor]:
    """Adapt weights trained with eps = 0 in their norms to norms with eps = 1e-5, by scaling the norms' weights.

    The frozen norms of `_MODELS_WITHOUT_EPS` in torchvision have eps = 0.
    """
    if model not in _MODELS_WITHOUT_EPS or file.name != str(_published_weights(model).url).rpartition("/")[2]:
        return state
    state = dict(state)
    for name in [name for name in state if name.endswith(".running_var")]:
        weight = name.replace("running_var", "weight")
        scale = (1 + _EPS / state[name].double().clamp(min=1e-30)).sqrt()
        state[weight] = (state[weight] * scale).to(state[weight].dtype)
    return state


def _detector(head: DetectionSpec) -> Detector:
    name = HEADS.name_of(type(head))
    if name not in DETECTORS:
        raise UserError(
            f"head {name} has no counterpart in torchvision, so its weights have no names there. "
            f"Heads that have one: {', '.join(DETECTORS)}."
        )
    return DETECTORS[name]


def _neck_table(spec: BackboneSpec, head: DetectionSpec) -> tuple[Row, ...]:
    """Names of the neck: torchvision numbers levels of stages from 0, the finest, and extra levels from 6."""
    stages, levels = list(head.neck.stages(spec)), list(head.neck.feature_info(spec))
    part = r"\.(conv|norm)\."
    rows: list[Row] = []
    for i, level in enumerate(stages):
        for name, new in (("lateral", "inner"), ("output", "layer")):
            rows.append((rf"neck\.{name}\.{level}{part}", _fpn_layer(f"backbone.fpn.{new}_blocks.{i}.")))
    for i, level in enumerate(levels[len(stages) :], start=6):
        rows.append((rf"neck\.extra\.{level}\.conv\.", f"backbone.fpn.extra_blocks.p{i}."))
    return tuple(rows)


def _fpn_layer(name: str) -> Callable[[re.Match[str]], str]:
    return lambda m: f"{name}{int(m[1] == 'norm')}."


def _rename(name: str, table: Iterable[Row]) -> str | None:
    for pattern, replacement in table:
        new, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return new
    return None


def _published_weights(model: str) -> Any:
    """Torchvision's ``WeightsEnum`` entry of a model's weights trained on COCO."""
    from torchvision.models import get_model_weights

    return get_model_weights(model).DEFAULT


def _coco_rows(*, background: bool) -> list[int]:
    """The rows of COCO's classes in their order, and that of the background."""
    names = _published_weights("fcos_resnet50_fpn").meta["categories"]
    return [i for i, name in enumerate(names) if name != "N/A" and (background or i > 0)]
