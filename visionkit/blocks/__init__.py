"""Building blocks as frozen dataclasses without torch: expanded into trees of layers, traced, and built as modules.

A custom block is one decorated class::

    @block("my_block")
    @dataclass(frozen=True, kw_only=True)
    class MyBlock(Composite):
        out_channels: int
        activation: ActivationField = None

        def parts(self, in_channels: int) -> Node:
            conv = Conv(out_channels=self.out_channels, kernel_size=3, padding="same", activation=self.activation)
            return Sequential({"conv": conv})
"""

from visionkit.blocks.activation import Activation, ActivationField
from visionkit.blocks.build import build
from visionkit.blocks.convnext import ConvNext, LayerScale, Pointwise
from visionkit.blocks.convolution import Conv, Conv2d, Flatten, Linear
from visionkit.blocks.dense import Dense, Transition
from visionkit.blocks.inception import Fire, Inception
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.inverted_residual import InvertedResidual
from visionkit.blocks.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Norm,
    NormAct,
    NormField,
)
from visionkit.blocks.pooling import AdaptivePool, AvgPool, Dropout, Identity, MaxPool, ZeroPadShortcut
from visionkit.blocks.registry import BLOCKS, Repeat, block, parse_block
from visionkit.blocks.residual import Basic, Bottleneck, XBlock
from visionkit.blocks.rewrite import apply_stochastic_depth, count_residual_blocks, replace_stride_with_dilation
from visionkit.blocks.shapes import Axis, DoesNotFitError, FeatureShape, Window
from visionkit.blocks.shuffle import ChannelShuffle, ChannelSlice, ShuffleUnit
from visionkit.blocks.squeeze_excitation import SqueezeExcitation
from visionkit.blocks.trace import LayerError, LayerRecord, expand, primitives, trace
from visionkit.blocks.transposed import ConvTranspose2d
from visionkit.blocks.tree import Block, Composite, Concat, Gate, Memory, Node, Primitive, Residual, Sequential

__all__ = [
    "BLOCKS",
    "Activation",
    "ActivationField",
    "AdaptivePool",
    "AvgPool",
    "Axis",
    "Basic",
    "BatchNorm",
    "Block",
    "Bottleneck",
    "ChannelShuffle",
    "ChannelSlice",
    "Composite",
    "Concat",
    "Conv",
    "Conv2d",
    "ConvNext",
    "ConvTranspose2d",
    "Dense",
    "DoesNotFitError",
    "Dropout",
    "FeatureShape",
    "Fire",
    "Flatten",
    "Gate",
    "GroupNorm",
    "Identity",
    "Inception",
    "Init",
    "InitField",
    "InstanceNorm",
    "InvertedResidual",
    "LayerError",
    "LayerNorm",
    "LayerRecord",
    "LayerScale",
    "Linear",
    "LocalResponseNorm",
    "MaxPool",
    "Memory",
    "Node",
    "Norm",
    "NormAct",
    "NormField",
    "Pointwise",
    "Primitive",
    "Repeat",
    "Residual",
    "Sequential",
    "ShuffleUnit",
    "SqueezeExcitation",
    "Transition",
    "Window",
    "XBlock",
    "ZeroPadShortcut",
    "apply_stochastic_depth",
    "block",
    "build",
    "count_residual_blocks",
    "expand",
    "parse_block",
    "primitives",
    "replace_stride_with_dilation",
    "trace",
]
