"""Heads: features to raw outputs, loss and predictions. Their specs need no torch."""

from visionkit.heads.classification.spec import AutoHead, ClassifierHead, ConvHead, LinearHead, MlpHead
from visionkit.heads.dense.spec import DenseHead, FcosHead, RetinaNetHead
from visionkit.heads.segmentation.decoders import DeepLabV3Head, DeepLabV3PlusHead, FcnHead, PanopticFpnHead, UnetHead
from visionkit.heads.segmentation.spec import SegmentationHead
from visionkit.heads.spec import HEADS, HeadSpec, default_head, head, parse_head
from visionkit.heads.two_stage.spec import FasterRcnnHead, MaskRcnnHead

__all__ = [
    "HEADS",
    "AutoHead",
    "ClassifierHead",
    "ConvHead",
    "DeepLabV3Head",
    "DeepLabV3PlusHead",
    "DenseHead",
    "FasterRcnnHead",
    "FcnHead",
    "FcosHead",
    "HeadSpec",
    "LinearHead",
    "MaskRcnnHead",
    "MlpHead",
    "PanopticFpnHead",
    "RetinaNetHead",
    "SegmentationHead",
    "UnetHead",
    "default_head",
    "head",
    "parse_head",
]
