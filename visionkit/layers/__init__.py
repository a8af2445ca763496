"""The few modules that torch lacks, and the combinators that join parts of a block."""

from visionkit.layers.combinators import COMBINE, Concat, Gate, Residual, overwrite_input
from visionkit.layers.convolution import Pointwise, SameConv2d
from visionkit.layers.normalization import LayerNorm2d, LayerScale
from visionkit.layers.shortcuts import ChannelSlice, ZeroPadShortcut

__all__ = [
    "COMBINE",
    "ChannelSlice",
    "Concat",
    "Gate",
    "LayerNorm2d",
    "LayerScale",
    "Pointwise",
    "Residual",
    "SameConv2d",
    "ZeroPadShortcut",
    "overwrite_input",
]
