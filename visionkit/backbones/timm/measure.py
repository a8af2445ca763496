"""Shapes, geometry and counts of a timm model, measured by one forward pass on the meta device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from visionkit.blocks.shapes import Axis, FeatureShape, Window

__all__ = ["StageMeasurement", "TimmModel", "features_on_meta", "measure", "nchw"]


@dataclass(frozen=True)
class TimmModel:
    """The arguments of ``timm.create_model``.

    Attributes:
        name: timm's name, optionally with a tag of weights: ``"convnext_tiny.fb_in22k"``.
        in_channels: Channels of the images.
        fixed_size: Height and width in pixels, where the model takes one size only.
        output_stride: timm's argument, or None.
    """

    name: str
    in_channels: int
    fixed_size: tuple[int, int] | None = None
    output_stride: int | None = None

    def create(self, *, num_stages: int | None = None, pretrained: bool = False) -> nn.Module:
        """Create the features-only model, with only its first ``num_stages`` stages unless None."""
        import timm

        arguments: dict[str, Any] = {"in_chans": self.in_channels}
        if self.fixed_size is not None:
            arguments["img_size"] = self.fixed_size
        if self.output_stride is not None:
            arguments["output_stride"] = self.output_stride
        if num_stages is not None:
            info: Any = features_on_meta(self).feature_info
            arguments["out_indices"] = tuple(info.out_indices[:num_stages])
        net: nn.Module = timm.create_model(self.name, features_only=True, pretrained=pretrained, **arguments)
        return net

    def published(self) -> Any:
        """timm's ``PretrainedCfg``: source of its weights, and the image size and normalisation of their training."""
        import timm

        return timm.get_pretrained_cfg(self.name)


@dataclass(frozen=True)
class StageMeasurement:
    """One stage at one image size.

    Attributes:
        shape: Shape of the map; its receptive field is unknown. The offset is traced through convolutions, pools
            and padding; where that contradicts timm's stride or is negative, it is ``(stride - 1) / 2``, the
            centre of a patch.
        macs: Multiplications with a weight since the previous stage.
        parameters: Names of the parameters that are used since the previous stage.
    """

    shape: FeatureShape
    macs: int
    parameters: tuple[str, ...]


@cache
def features_on_meta(model: TimmModel) -> nn.Module:
    """The features-only model in evaluation mode, without memory for its weights."""
    with torch.device("meta"):
        return model.create().eval()


@cache
def measure(model: TimmModel, image_size: tuple[int, int]) -> tuple[StageMeasurement, ...]:
    """Run one image of ``image_size`` pixels through the model, stage by stage.

    Raises:
        Exception: Any error of the model for an image of this size.
    """
    net = features_on_meta(model)
    image = torch.zeros(1, model.in_channels, *image_size, device="meta")
    info: Any = net.feature_info
    with torch.no_grad(), _TraceMode(image) as mode:
        maps = net(image)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    stages: list[StageMeasurement] = []
    step_before, macs_before = 0, 0
    for x, channels, stride in zip(maps, info.channels(), info.reduction(), strict=True):
        traced = mode.traces[id(x)]
        used = [
            names[key] for key, step in mode.first_use.items() if step_before < step <= traced.step and key in names
        ]
        stages.append(
            StageMeasurement(
                _feature_shape(nchw(net, x), channels, stride, traced.geometry),
                max(traced.macs - macs_before, 0),
                tuple(used),
            )
        )
        step_before, macs_before = max(step_before, traced.step), max(macs_before, traced.macs)
    return tuple(stages)


def nchw(net: nn.Module, x: Tensor) -> Tensor:
    """A map of the features-only model ``net`` in (B, C, H, W)."""
    return x.permute(0, 3, 1, 2) if str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC") else x


def _feature_shape(x: Tensor, channels: int, stride: int, geometry: _CellGeometry) -> FeatureShape:
    if x.dim() != 4 or x.shape[1] != channels:
        raise ValueError(f"a map of {channels} channels is declared, one of shape {tuple(x.shape)} comes out")
    offset = geometry.offset if geometry.jump == stride and geometry.offset >= 0 else (stride - 1) / 2
    height, width = (Axis(size, stride, None, offset) for size in x.shape[2:])
    return FeatureShape(channels, height, width)


class _CellGeometry(NamedTuple):
    """Geometry of a map's cells along the height, in pixels; see `visionkit.blocks.shapes.Axis`."""

    jump: int
    offset: float
    receptive_field: int


class _TensorTrace(NamedTuple):
    """Of a tensor: its geometry, the last operation with a weight it depends on, and the MACs up to that operation."""

    geometry: _CellGeometry
    step: int
    macs: int


class _TraceMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Traces all tensors that are computed from an image, and the first use of each tensor."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.traces: dict[int, _TensorTrace] = {id(image): _TensorTrace(_CellGeometry(1, 0.0, 1), 0, 0)}
        self.first_use: dict[int, int] = {}
        self._references: list[Any] = [image]  # an id is valid as long as its tensor exists
        self._num_steps = self._macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = list(_tensors((args, kwargs or {})))
        self._num_steps += 1
        for x in inputs:
            self.first_use.setdefault(id(x), self._num_steps)
        self._references += [inputs, out]
        sources = [self.traces[id(x)] for x in inputs if id(x) in self.traces]
        if sources:
            # of several inputs the finest has the geometry, among equals the one with the largest receptive field
            geometry = min((source.geometry for source in sources), key=lambda c: (c.jump, -c.receptive_field))
            step, macs = max((source.step, source.macs) for source in sources)
            if len(sources) < len(inputs):
                self._macs += _macs(func, args, out)
                step, macs = self._num_steps, self._macs
            for x in _tensors(out):
                self.traces[id(x)] = _TensorTrace(_slide(func, args, geometry), step, macs)
        return out


def _slide(func: Any, args: Any, geometry: _CellGeometry) -> _CellGeometry:
    """Geometry after one operation; only sliding windows and padding change it.

    The formulas are those of Araujo, Norris & Sim 2019 (doi:10.23915/distill.00021).
    """
    aten = torch.ops.aten
    if func is aten.constant_pad_nd.default and args[0].dim() == 4 and len(args[1]) == 4:
        return geometry._replace(offset=geometry.offset - args[1][2] * geometry.jump)
    if func is aten.convolution.default and args[1].dim() == 4 and not args[6]:
        window = Window(args[1].shape[2], args[3][0], args[4][0], args[5][0])
    elif func in (aten.max_pool2d_with_indices.default, aten.avg_pool2d.default):
        kernel, stride, padding = args[1], _argument_at(args, 2) or args[1], _argument_at(args, 3) or [0]
        window = Window(kernel[0], stride[0], padding[0])
    else:
        return geometry
    extent = window.extent - 1
    return _CellGeometry(
        jump=geometry.jump * window.stride,
        offset=geometry.offset + (extent / 2 - window.padding) * geometry.jump,
        receptive_field=geometry.receptive_field + extent * geometry.jump,
    )


def _argument_at(args: Any, index: int) -> Any:
    return args[index] if len(args) > index else None


def _macs(func: Any, args: Any, out: Any) -> int:
    aten = torch.ops.aten
    if func is aten.convolution.default:
        cells, per_cell = (args[0] if args[6] else out), math.prod(args[1].shape[1:])
    elif func in (aten.addmm.default, aten.mm.default):
        cells, per_cell = out, args[-2].shape[1]
    else:
        return 0
    return int(cells.numel() * per_cell)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
