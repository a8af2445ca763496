"""Heads: features to raw outputs, loss and predictions. Their specs need no torch."""

from visionkit.heads.classifiers import AutoHead, ClassifierHead, ConvHead, LinearHead, MlpHead
from visionkit.heads.spec import HEADS, HeadSpec, head, parse_head

__all__ = ["HEADS", "AutoHead", "ClassifierHead", "ConvHead", "HeadSpec", "LinearHead", "MlpHead", "head", "parse_head"]
