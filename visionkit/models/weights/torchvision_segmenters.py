"""Torchvision's semantic segmentation models: names of their tensors, and their weights trained on COCO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights.download import fetch
from visionkit.backbones.weights.load import Weights, mean_std_for_channels, read_state_dict
from visionkit.backbones.weights.sources import WeightSource, find_weights
from visionkit.backbones.weights.torchvision_names import torchvision_names
from visionkit.errors import UserError
from visionkit.heads import HEADS, DeepLabV3Spec, FcnSpec, SegmentationSpec
from visionkit.heads.published_weights import COCO, published_model
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["CLASS_LAYERS", "read_segmenter_weights", "segmenter_names", "drop_unused_auxiliary"]

CLASS_LAYERS = ("head.logits", "head.auxiliary")
"""Visionkit's layers with a row per class."""

_AUXILIARY = ("aux_classifier.", "head.auxiliary")
"""Prefixes of the auxiliary head's tensors, in torchvision and in visionkit."""


def segmenter_names(names: Iterable[str], spec: BackboneSpec, head: SegmentationSpec) -> dict[str, str]:
    """The names in torchvision by visionkit's names.

    Args:
        names: Keys of a visionkit state dict.
        spec: The backbone of the model.
        head: The head of the model.

    Raises:
        UserError: If backbone or head has no counterpart in torchvision, or one of the names has none.
    """
    names = list(names)
    table = _table(head)
    body = torchvision_names([name for name in names if name.startswith("backbone.")], spec)
    renamed = {name: f"backbone.{new}" for name, new in body.items()}
    for name in names:
        if name not in renamed:
            layer, _, tensor = name.rpartition(".")
            renamed[name] = f"{table[layer]}.{tensor}"
    return {name: renamed[name] for name in names}


def drop_unused_auxiliary(state: Mapping[str, Tensor], head: SegmentationSpec) -> dict[str, Tensor]:
    """Drop the auxiliary head from a state dict of either layout where the model has none."""
    dropped = () if head.auxiliary is not None else _AUXILIARY
    return {name: value for name, value in state.items() if not name.startswith(dropped)}


def read_segmenter_weights(
    source: str | Path, spec: BackboneSpec, head: SegmentationSpec, model_state: Mapping[str, Tensor]
) -> Weights:
    """Read the weights of a whole segmentation model, renamed to visionkit's layout.

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
        origin = WeightSource(COCO, file=fetch(_url(published), COCO, published))
    else:
        origin = find_weights(source, spec)
    assert origin.file is not None
    state = drop_unused_auxiliary(read_state_dict(origin.file), head)
    mean_std = origin.mean_std
    if not state.keys() & model_state.keys() and spec.torchvision:
        names = {new: name for name, new in segmenter_names(model_state, spec, head).items()}
        state = {names.get(name, name): value for name, value in state.items()}
        mean_std = mean_std or (IMAGENET_MEAN, IMAGENET_STD)
    return Weights(state, mean_std_for_channels(mean_std, spec.in_channels))


def _table(head: SegmentationSpec) -> dict[str, str]:
    """The names in torchvision by the names of a head's layers."""
    auxiliary = {
        **_conv("head.auxiliary_hidden.conv", "aux_classifier", 0),
        "head.auxiliary": "aux_classifier.4",
    }
    if isinstance(head, FcnSpec):
        return {**_conv("head.hidden.conv", "classifier", 0), "head.logits": "classifier.4", **auxiliary}
    if isinstance(head, DeepLabV3Spec):
        num_scales = len(head.rates) + 1
        layers: dict[str, str] = {}
        for i in range(num_scales):
            layers |= _conv(f"head.scale{i}", f"classifier.0.convs.{i}", 0)
        return {
            **layers,
            **_conv("head.image.conv", f"classifier.0.convs.{num_scales}", 1),
            **_conv("head.project.conv", "classifier.0.project", 0),
            **_conv("head.hidden", "classifier", 1),
            "head.logits": "classifier.4",
            **auxiliary,
        }
    raise UserError(
        f"head {HEADS.name_of(type(head))} has no counterpart in torchvision, so its weights have no names there. "
        "Heads that have one: deeplabv3, fcn."
    )


def _conv(name: str, torchvision_name: str, index: int) -> dict[str, str]:
    """A convolution and the norm after it, which torchvision numbers."""
    return {f"{name}.conv": f"{torchvision_name}.{index}", f"{name}.norm": f"{torchvision_name}.{index + 1}"}


def _url(model: str) -> str:
    """The URL of torchvision's weights of a model, trained on COCO images with Pascal VOC's classes."""
    from torchvision.models import get_model_weights

    return str(get_model_weights(model).DEFAULT.url)
