"""Heads: features to raw outputs, loss and predictions. Their specs need no torch."""

from visionkit.heads.classifiers import AutoHead, ClassifierHead, ConvHead, LinearHead, MlpHead
from visionkit.heads.detectors import DenseHead, FcosHead, RetinaNetHead
from visionkit.heads.segmentation import SegmentationHead
from visionkit.heads.segmenters import DeepLabV3Head, DeepLabV3PlusHead, FcnHead, PanopticFpnHead, UnetHead
from visionkit.heads.spec import HEADS, HeadSpec, default_head, head, parse_head
from visionkit.heads.two_stage import FasterRcnnHead, MaskRcnnHead

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
