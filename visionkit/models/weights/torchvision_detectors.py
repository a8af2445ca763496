"""Torchvision's detectors: their names for the tensors of ours, and their weights trained on COCO."""

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
from visionkit.heads.published import COCO, published_model
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["DETECTORS", "Detector", "detector_names", "fit_classes", "modern_state", "read_detector_weights"]

_COCO_NUMBERS = 91
"""Rows of torchvision's weights: COCO's own numbers for its 80 classes, which have gaps, and 0 for background."""

_EPS = 1e-5
_WITHOUT_EPS = ("retinanet_resnet50_fpn", "fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn")

Row = tuple[str, str | Callable[[re.Match[str]], str]]


@dataclass(frozen=True)
class Detector:
    """How a head's tensors are named in torchvision.

    Attributes:
        table: Patterns of our names, from their beginning, and what replaces them; the first match counts.
        old_names: Patterns of names in files older than torchvision's present layout, and what replaces them.
        class_layers: Our layers with rows for each class, and how many lie together for one; where there are anchors,
            the rows of one follow those of another.
        background: Whether their first class is background.
    """

    table: tuple[Row, ...]
    class_layers: Mapping[str, int]
    old_names: tuple[Row, ...] = ()
    background: bool = False


def _layer(each: int) -> Callable[[re.Match[str]], str]:
    """The place in torchvision's towers, which take ``each`` numbers for a convolution, its norm and activation."""
    return lambda m: f"head.{m[1]}_head.conv.{each * int(m[2]) + (m[3] == 'norm')}."


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
            (_TOWER, _layer(3)),
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
"""By the head's name."""


def detector_names(names: Iterable[str], spec: BackboneSpec, head: DetectionSpec) -> dict[str, str]:
    """Our names to torchvision's.

    Args:
        names: Keys of a state dict.
        spec: The backbone they belong to.
        head: The head, with its neck.

    Raises:
        UserError: If backbone or head has no counterpart in torchvision, or one of the names has none.
    """
    names = list(names)
    body = torchvision_names([name for name in names if name.startswith("backbone.")], spec)
    renamed = {ours: f"backbone.body.{theirs}" for ours, theirs in body.items()}
    table = (*_neck_table(spec, head), *_detector(head).table)
    for name in names:
        if name not in renamed:
            new = _replace(name, table)
            if new is None:
                raise UserError(f"head {HEADS.name_of(type(head))}: torchvision has no counterpart of '{name}'.")
            renamed[name] = new
    return {name: renamed[name] for name in names}


def modern_state(state: Mapping[str, Tensor], head: DetectionSpec, names: Iterable[str]) -> dict[str, Tensor]:
    """A state dict of torchvision's under the names that its detectors have today.

    Args:
        state: As a file of any age has it.
        head: The head it is for.
        names: Torchvision's names today. Norms that were frozen don't say how many batches they have seen; that
            count then starts at zero.
    """
    old = _detector(head).old_names
    counts = {name: torch.zeros((), dtype=torch.int64) for name in names if name.endswith(".num_batches_tracked")}
    return counts | {_replace(name, old) or name: value for name, value in state.items()}


def read_detector_weights(
    source: str | Path, spec: BackboneSpec, head: DetectionSpec, own: Mapping[str, Tensor]
) -> Weights:
    """Read weights of a whole detector and give them our names.

    Args:
        source: ``coco``, a file in our layout or torchvision's, or ``run:FOLDER``.
        spec: The backbone they are for.
        head: The head they are for.
        own: The model's own tensors.

    Raises:
        UserError: If there are no such weights, they cannot be read, or the model has no counterpart.
    """
    if str(source) == COCO:
        published = published_model(spec, head)
        origin = WeightSource(COCO, file=fetch(str(_entry(published).url), COCO, published))
    else:
        origin = find_weights(source, spec)
    assert origin.file is not None
    state = read_state_dict(origin.file)
    mean_std = origin.mean_std
    if not state.keys() & own.keys() and (str(source) == COCO or spec.torchvision):
        theirs = detector_names(own, spec, head)
        ours = {their_name: our_name for our_name, their_name in theirs.items()}
        state = _with_usual_eps(modern_state(state, head, ours), origin.file, head.torchvision_model(spec))
        state = {ours.get(name, name): value for name, value in state.items()}
        mean_std = mean_std or (IMAGENET_MEAN, IMAGENET_STD)
    return Weights(state, mean_std_for_channels(mean_std, spec.in_channels))


def fit_classes(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], head: DetectionSpec, *, source: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Make the layers with rows for each class fit: other classes' give way to the model's own.

    Args:
        state: What is about to be loaded, under our names.
        own: The model's own tensors.
        head: The head, with its neck.
        source: For the note.

    Returns:
        The state, and a note if the layers are left out.
    """
    state = dict(state)
    detector = DETECTORS.get(HEADS.name_of(type(head)))
    if detector is None:
        return state, ()
    different = None
    for layer, together in detector.class_layers.items():
        for name in [name for name in own if name.rpartition(".")[0] == layer]:
            value, wanted = state.get(name), len(own[name]) // (head.num_anchors * together)
            if value is None or value.shape[1:] != own[name].shape[1:] or len(value) % (head.num_anchors * together):
                return state, ()  # which loading will say
            value = torch.unflatten(value, 0, (head.num_anchors, -1, together))
            if value.shape[1] == _COCO_NUMBERS != wanted:
                value = value[:, _coco_rows(background=detector.background)]
            if value.shape[1] != wanted:
                different = value.shape[1] - detector.background, wanted - detector.background
            state[name] = own[name] if value.shape[1] != wanted else value.flatten(0, 2)
    if different is None:
        return state, ()
    layers = ", ".join(detector.class_layers)
    return state, (
        f"weights: '{source}' tells {different[0]} classes apart, and here are {different[1]}: "
        f"the output layer ({layers}) is left out and starts afresh",
    )


def _with_usual_eps(state: dict[str, Tensor], file: Path, model: str | None) -> dict[str, Tensor]:
    """The weights for norms that add 1e-5 to a variance, of a file whose norms add nothing.

    Such are those of torchvision's first RetinaNet, whose norms were frozen; their factors take up the difference.
    """
    if model not in _WITHOUT_EPS or file.name != str(_entry(model).url).rpartition("/")[2]:
        return state
    state = dict(state)
    for name in [name for name in state if name.endswith(".running_var")]:
        factor = name.replace("running_var", "weight")
        rise = (1 + _EPS / state[name].double().clamp(min=1e-30)).sqrt()
        state[factor] = (state[factor] * rise).to(state[factor].dtype)
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
    """Torchvision numbers the levels, from the finest stage on, and then from 6 on those beyond the last."""
    stages, levels = list(head.neck.stages(spec)), list(head.neck.feature_info(spec))
    part = r"\.(conv|norm)\."
    rows: list[Row] = []
    for i, level in enumerate(stages):
        for ours, theirs in (("lateral", "inner"), ("output", "layer")):
            rows.append((rf"neck\.{ours}\.{level}{part}", _fpn_layer(f"backbone.fpn.{theirs}_blocks.{i}.")))
    for i, level in enumerate(levels[len(stages) :], start=6):
        rows.append((rf"neck\.extra\.{level}\.conv\.", f"backbone.fpn.extra_blocks.p{i}."))
    return tuple(rows)


def _fpn_layer(name: str) -> Callable[[re.Match[str]], str]:
    return lambda m: f"{name}{int(m[1] == 'norm')}."


def _replace(name: str, table: Iterable[Row]) -> str | None:
    for pattern, replacement in table:
        new, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return new
    return None


def _entry(model: str) -> Any:
    """Torchvision's entry for the weights trained on COCO."""
    from torchvision.models import get_model_weights

    return get_model_weights(model).DEFAULT


def _coco_rows(*, background: bool) -> list[int]:
    """The rows that stand for one of COCO's classes, in the order of their numbers."""
    names = _entry("fcos_resnet50_fpn").meta["categories"]
    return [i for i, name in enumerate(names) if name != "N/A" and (background or i > 0)]
