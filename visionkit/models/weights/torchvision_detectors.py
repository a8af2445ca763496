"""Torchvision's detectors: names of their tensors, and peculiarities of their weights trained on COCO."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights.torchvision_names import Row, conv_and_norm
from visionkit.errors import UserError
from visionkit.necks import NECKS, FPNSpec

__all__ = ["DETECTORS", "Detector", "coco_rows", "complete_norms", "neck_table"]

_EPS = 1e-5
_MODELS_WITHOUT_EPS = ("retinanet_resnet50_fpn", "fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn")


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


def neck_table(spec: BackboneSpec, neck: Any) -> tuple[Row, ...]:
    """Torchvision's names of a feature pyramid's tensors.

    Torchvision numbers levels of stages from 0, the finest, and extra levels from 6.

    Raises:
        UserError: If the neck is another one.
    """
    if not isinstance(neck, FPNSpec):
        raise UserError(
            f"neck {NECKS.name_of(type(neck))} has no counterpart in torchvision, so its weights have no names there. "
            "Necks that have one: fpn."
        )
    stages, levels = list(neck.stages(spec)), list(neck.feature_info(spec))
    rows: list[Row] = []
    for i, level in enumerate(stages):
        for name, new in (("lateral", "inner"), ("output", "layer")):
            rows.append(conv_and_norm(rf"neck\.{name}\.{level}", f"backbone.fpn.{new}_blocks.{i}."))
    for i, level in enumerate(levels[len(stages) :], start=6):
        rows.append((rf"neck\.extra\.{level}\.conv\.", f"backbone.fpn.extra_blocks.p{i}."))
    return tuple(rows)


def complete_norms(
    state: Mapping[str, Tensor], names: Iterable[str], file: Path | None, *, model: str
) -> dict[str, Tensor]:
    """Complete frozen norms, which lack ``num_batches_tracked``, and which have eps = 0 in `_MODELS_WITHOUT_EPS`.

    Weights trained with eps = 0 are adapted to norms with eps = 1e-5, by scaling the norms' weights.

    Args:
        state: The tensors under torchvision's current names.
        names: All of torchvision's current names.
        file: The file of the tensors, or None.
        model: Torchvision's name of the model with published weights; empty if there is none.
    """
    counts = {name: torch.zeros((), dtype=torch.int64) for name in names if name.endswith(".num_batches_tracked")}
    state = counts | dict(state)
    if model not in _MODELS_WITHOUT_EPS or file is None or file.name != _published(model).url.rpartition("/")[2]:
        return state
    for name in [name for name in state if name.endswith(".running_var")]:
        weight = name.replace("running_var", "weight")
        scale = (1 + _EPS / state[name].double().clamp(min=1e-30)).sqrt()
        state[weight] = (state[weight] * scale).to(state[weight].dtype)
    return state


def coco_rows(*, background: bool) -> list[int]:
    """The rows of COCO's classes in their order, and that of the background, among those of COCO's category ids."""
    names = _published("fcos_resnet50_fpn").meta["categories"]
    return [i for i, name in enumerate(names) if name != "N/A" and (background or i > 0)]


def _published(model: str) -> Any:
    """Torchvision's ``WeightsEnum`` entry of a model's weights trained on COCO."""
    from torchvision.models import get_model_weights

    return get_model_weights(model).DEFAULT
