"""Torchvision's semantic segmentation models: names of their tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visionkit.backbones.weights.torchvision_names import Row, conv_and_norm
from visionkit.heads import DeepLabV3Spec

__all__ = ["SEGMENTERS"]

_COMMON: tuple[Row, ...] = (
    (r"head\.logits\.", "classifier.4."),
    conv_and_norm(r"head\.auxiliary_hidden\.conv", "aux_classifier."),
    (r"head\.auxiliary\.", "aux_classifier.4."),
)


def _deeplabv3(head: DeepLabV3Spec) -> tuple[Row, ...]:
    return (
        conv_and_norm(r"head\.scale(\d+)", r"classifier.0.convs.\1."),
        conv_and_norm(r"head\.image\.conv", f"classifier.0.convs.{len(head.rates) + 1}.", first=1),
        conv_and_norm(r"head\.project\.conv", "classifier.0.project."),
        conv_and_norm(r"head\.hidden", "classifier.", first=1),
        *_COMMON,
    )


SEGMENTERS: dict[str, Callable[[Any], tuple[Row, ...]]] = {
    "deeplabv3": _deeplabv3,
    "fcn": lambda head: (conv_and_norm(r"head\.hidden\.conv", "classifier."), *_COMMON),
}
"""Patterns of visionkit's names, anchored at the start, and their replacements; by the name of the head."""
