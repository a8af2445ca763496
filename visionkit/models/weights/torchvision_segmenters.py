"""Torchvision's semantic segmentation: its names for the tensors of ours, and its weights trained on COCO."""

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
from visionkit.heads.published import COCO, published_model
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["CLASS_LAYERS", "read_segmenter_weights", "segmenter_names", "wanted_state"]

CLASS_LAYERS = ("head.logits", "head.auxiliary")
"""Our layers with a row for each class."""

_THEIR_AUXILIARY, _OUR_AUXILIARY = "aux_classifier.", "head.auxiliary"


def segmenter_names(names: Iterable[str], spec: BackboneSpec, head: SegmentationSpec) -> dict[str, str]:
    """Our names to torchvision's.

    Args:
        names: Keys of a state dict.
        spec: The backbone they belong to.
        head: The head.

    Raises:
        UserError: If backbone or head has no counterpart in torchvision, or one of the names has none.
    """
    names = list(names)
    table = _table(head)
    body = torchvision_names([name for name in names if name.startswith("backbone.")], spec)
    renamed = {ours: f"backbone.{theirs}" for ours, theirs in body.items()}
    for name in names:
        if name not in renamed:
            layer, _, last = name.rpartition(".")
            renamed[name] = f"{table[layer]}.{last}"
    return {name: renamed[name] for name in names}


def wanted_state(state: Mapping[str, Tensor], head: SegmentationSpec) -> dict[str, Tensor]:
    """A state dict of torchvision's or ours, without an auxiliary head where the model has none."""
    unwanted = () if head.auxiliary is not None else (_THEIR_AUXILIARY, _OUR_AUXILIARY)
    return {name: value for name, value in state.items() if not name.startswith(unwanted)}


def read_segmenter_weights(
    source: str | Path, spec: BackboneSpec, head: SegmentationSpec, own: Mapping[str, Tensor]
) -> Weights:
    """Read weights of a whole model and give them our names.

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
        origin = WeightSource(COCO, file=fetch(_url(published), COCO, published))
    else:
        origin = find_weights(source, spec)
    assert origin.file is not None
    state = wanted_state(read_state_dict(origin.file), head)
    mean_std = origin.mean_std
    if not state.keys() & own.keys() and spec.torchvision:
        theirs = {their_name: our_name for our_name, their_name in segmenter_names(own, spec, head).items()}
        state = {theirs.get(name, name): value for name, value in state.items()}
        mean_std = mean_std or (IMAGENET_MEAN, IMAGENET_STD)
    return Weights(state, mean_std_for_channels(mean_std, spec.in_channels))


def _table(head: SegmentationSpec) -> dict[str, str]:
    """Our layers of a head to torchvision's."""
    auxiliary = {
        **_conv("head.auxiliary_hidden.conv", "aux_classifier", 0),
        "head.auxiliary": "aux_classifier.4",
    }
    if isinstance(head, FcnSpec):
        return {**_conv("head.hidden.conv", "classifier", 0), "head.logits": "classifier.4", **auxiliary}
    if isinstance(head, DeepLabV3Spec):
        scales = len(head.rates) + 1
        layers: dict[str, str] = {}
        for i in range(scales):
            layers |= _conv(f"head.scale{i}", f"classifier.0.convs.{i}", 0)
        return {
            **layers,
            **_conv("head.image.conv", f"classifier.0.convs.{scales}", 1),
            **_conv("head.project.conv", "classifier.0.project", 0),
            **_conv("head.hidden", "classifier", 1),
            "head.logits": "classifier.4",
            **auxiliary,
        }
    raise UserError(
        f"head {HEADS.name_of(type(head))} has no counterpart in torchvision, so its weights have no names there. "
        "Heads that have one: deeplabv3, fcn."
    )


def _conv(ours: str, theirs: str, place: int) -> dict[str, str]:
    """A convolution and the norm behind it, which torchvision numbers."""
    return {f"{ours}.conv": f"{theirs}.{place}", f"{ours}.norm": f"{theirs}.{place + 1}"}


def _url(model: str) -> str:
    """Where torchvision's weights of a model lie that were trained on COCO's images of Pascal VOC's classes."""
    from torchvision.models import get_model_weights

    return str(get_model_weights(model).DEFAULT.url)
