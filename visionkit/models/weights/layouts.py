"""How torchvision stores whole models: the one table, by task, that reading, converting and fitting weights go by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights.layout import TorchvisionLayout, classifier_layout
from visionkit.backbones.weights.torchvision_names import Row, rename, torchvision_names
from visionkit.errors import UserError
from visionkit.heads import HEADS, HeadSpec
from visionkit.heads.published_weights import find_model_weights
from visionkit.models.weights.torchvision_detectors import (
    DETECTORS,
    Detector,
    coco_rows,
    complete_norms,
    neck_table,
)
from visionkit.models.weights.torchvision_segmenters import SEGMENTERS

__all__ = ["LAYOUTS", "layout_of"]

T = TypeVar("T")


def layout_of(spec: BackboneSpec, head: HeadSpec | None) -> TorchvisionLayout:
    """The layout of a model; that of a classifier for the task of a plugin, and for a head without specification."""
    row = None if head is None else LAYOUTS.get(head.task)
    return classifier_layout(spec) if head is None or row is None else row(spec, head)


def _detector(spec: BackboneSpec, head: HeadSpec) -> TorchvisionLayout:
    detector = DETECTORS.get(HEADS.name_of(type(head)), Detector(table=(), class_layers={}))
    model = head.torchvision_model(spec) or ""
    return TorchvisionLayout(
        spec=spec,
        model=model,
        find=partial(find_model_weights, spec=spec, head=head),
        names=lambda names: _names(
            names, spec, head, "backbone.body.", (*_row(DETECTORS, head).table, *neck_table(spec, head.neck))
        ),
        old_names=detector.old_names,
        complete=partial(complete_norms, model=model),
        class_layers=detector.class_layers,
        num_anchors=getattr(head, "num_anchors", 1),
        background=detector.background,
        coco_rows=partial(coco_rows, background=detector.background) if detector.class_layers else None,
    )


def _segmenter(spec: BackboneSpec, head: HeadSpec) -> TorchvisionLayout:
    return TorchvisionLayout(
        spec=spec,
        model=head.torchvision_model(spec) or "",
        find=partial(find_model_weights, spec=spec, head=head),
        names=lambda names: _names(names, spec, head, "backbone.", _row(SEGMENTERS, head)(head)),
        unused=r"aux_classifier\.|head\.auxiliary" if getattr(head, "auxiliary", True) is None else None,
        class_layers={"head.logits": 1, "head.auxiliary": 1},
    )


LAYOUTS: dict[str, Callable[[BackboneSpec, HeadSpec], TorchvisionLayout]] = {
    "classify": lambda spec, head: classifier_layout(spec),
    "detect": _detector,
    "instance": _detector,
    "multilabel": lambda spec, head: classifier_layout(spec),
    "segment": _segmenter,
}
"""By task, what makes the layout of a model from its backbone and its head, which may be a plugin's."""


def _row(tables: Mapping[str, T], head: HeadSpec) -> T:
    name = HEADS.name_of(type(head))
    if name not in tables:
        raise UserError(
            f"head {name} has no counterpart in torchvision, so its weights have no names there. "
            f"Heads that have one: {', '.join(tables)}."
        )
    return tables[name]


def _names(
    names: Iterable[str], spec: BackboneSpec, head: HeadSpec, backbone: str, table: tuple[Row, ...]
) -> dict[str, str]:
    """Torchvision's names by visionkit's names, of a model whose backbone's begin with ``backbone`` in torchvision."""
    names = list(names)
    backbone_names = torchvision_names([name for name in names if name.startswith("backbone.")], spec)
    renamed = {name: f"{backbone}{new}" for name, new in backbone_names.items()}
    for name in names:
        new = renamed.get(name) or rename(name, table)
        if new is None:
            raise UserError(f"head {HEADS.name_of(type(head))}: torchvision has no counterpart of '{name}'.")
        renamed[name] = new
    return {name: renamed[name] for name in names}
