"""Heads: from features to raw outputs, losses and predictions. Specifications need no torch."""

from visionkit.heads.classification.spec import (
    AutoSpec,
    ClassificationSpec,
    ConvSpec,
    LinearSpec,
    MlpSpec,
    MultilabelLinearSpec,
    MultilabelSpec,
)
from visionkit.heads.dense.spec import DenseSpec, FcosSpec, RetinaNetSpec
from visionkit.heads.detection import DetectionSpec
from visionkit.heads.segmentation.decoders import DeepLabV3PlusSpec, DeepLabV3Spec, FcnSpec, PanopticFpnSpec, UnetSpec
from visionkit.heads.segmentation.spec import SegmentationSpec
from visionkit.heads.spec import HEADS, HeadSpec, head, parse_head, read_head
from visionkit.heads.two_stage.spec import FasterRcnnSpec, MaskRcnnSpec

__all__ = [
    "HEADS",
    "AutoSpec",
    "ClassificationSpec",
    "ConvSpec",
    "DeepLabV3PlusSpec",
    "DeepLabV3Spec",
    "DenseSpec",
    "DetectionSpec",
    "FasterRcnnSpec",
    "FcnSpec",
    "FcosSpec",
    "HeadSpec",
    "LinearSpec",
    "MaskRcnnSpec",
    "MlpSpec",
    "MultilabelLinearSpec",
    "MultilabelSpec",
    "PanopticFpnSpec",
    "RetinaNetSpec",
    "SegmentationSpec",
    "UnetSpec",
    "head",
    "parse_head",
    "read_head",
]
