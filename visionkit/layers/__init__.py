"""Modules that torch lacks, and the modules of the combinators that join the parts of a block."""

from visionkit.layers.combinators import Concat, Gate, Residual, set_inplace
from visionkit.layers.convolution import Pointwise, SameConv2d
from visionkit.layers.normalization import LayerNorm2d, LayerScale
from visionkit.layers.shortcuts import ChannelSlice, ZeroPadShortcut

__all__ = [
    "ChannelSlice",
    "Concat",
    "Gate",
    "LayerNorm2d",
    "LayerScale",
    "Pointwise",
    "Residual",
    "SameConv2d",
    "ZeroPadShortcut",
    "set_inplace",
]
