"""What a timm model does to an image, found out by running it once on the meta device: no weights, no numbers."""

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

__all__ = ["Measured", "TimmModel", "features_on_meta", "measure", "nchw"]


@dataclass(frozen=True)
class TimmModel:
    """What ``timm.create_model`` is asked for.

    Attributes:
        name: timm's name, perhaps with a tag of weights: ``"convnext_tiny.fb_in22k"``.
        in_channels: Channels of the images.
        fixed_size: Height and width in pixels, where the model is made for one size alone.
        output_stride: As timm understands it, or None.
    """

    name: str
    in_channels: int
    fixed_size: tuple[int, int] | None = None
    output_stride: int | None = None

    def create(self, *, num_stages: int | None = None, pretrained: bool = False) -> nn.Module:
        """The features-only model; its first ``num_stages`` stages where that is given."""
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
        """timm's ``PretrainedCfg``: where its weights lie, and the images they were trained with."""
        import timm

        return timm.get_pretrained_cfg(self.name)


@dataclass(frozen=True)
class Measured:
    """One stage at one image size.

    Attributes:
        shape: What it gives. The first cell's centre is followed through convolutions, pools and padding;
            where that does not lead to timm's stride or into the image, it is a patch's centre, ``(stride - 1) / 2``.
            What a cell sees is not known.
        macs: Multiplications with a weight since the stage before.
        parameters: Names of the parameters used since the stage before.
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
def measure(model: TimmModel, image_size: tuple[int, int]) -> tuple[Measured, ...]:
    """Run one image of ``image_size`` pixels through the model, stage by stage.

    Raises:
        Exception: Whatever the model raises when it cannot take such an image.
    """
    net = features_on_meta(model)
    image = torch.zeros(1, model.in_channels, *image_size, device="meta")
    info: Any = net.feature_info
    with torch.no_grad(), _Follow(image) as follow:
        maps = net(image)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    stages: list[Measured] = []
    begin, counted = 0, 0
    for x, channels, stride in zip(maps, info.channels(), info.reduction(), strict=True):
        seen = follow.seen[id(x)]
        used = [names[key] for key, step in follow.first_use.items() if begin < step <= seen.step and key in names]
        stages.append(
            Measured(_signal(nchw(net, x), channels, stride, seen.cell), max(seen.macs - counted, 0), tuple(used))
        )
        begin, counted = max(begin, seen.step), max(counted, seen.macs)
    return tuple(stages)


def nchw(net: nn.Module, x: Tensor) -> Tensor:
    """A map of the features-only model ``net`` as (B, C, H, W), whatever the model's own layout."""
    return x.permute(0, 3, 1, 2) if str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC") else x


def _signal(x: Tensor, channels: int, stride: int, cell: _Cell) -> FeatureShape:
    if x.dim() != 4 or x.shape[1] != channels:
        raise ValueError(f"a map of {channels} channels is declared, one of shape {tuple(x.shape)} comes out")
    offset = cell.offset if cell.jump == stride and cell.offset >= 0 else (stride - 1) / 2
    height, width = (Axis(size, stride, None, offset) for size in x.shape[2:])
    return FeatureShape(channels, height, width)


class _Cell(NamedTuple):
    """Where the cells of a map lie: pixels from one to the next, centre of the first, pixels that one sees."""

    jump: int
    offset: float
    view: int


class _Seen(NamedTuple):
    """Of a tensor: its cells, the last operation with a weight behind it, and all multiplications until then."""

    cell: _Cell
    step: int
    macs: int


class _Follow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows everything that is computed from an image, and notes when each tensor was first used."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: dict[int, _Seen] = {id(image): _Seen(_Cell(1, 0.0, 1), 0, 0)}
        self.first_use: dict[int, int] = {}
        self._alive: list[Any] = [image]  # an id is good for as long as its tensor lives
        self._step = self._macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = list(_tensors((args, kwargs or {})))
        self._step += 1
        for x in inputs:
            self.first_use.setdefault(id(x), self._step)
        self._alive += [inputs, out]
        sources = [self.seen[id(x)] for x in inputs if id(x) in self.seen]
        if sources:
            # of two paths the finer one says where cells lie, and of equals the one that sees more
            cell = min((source.cell for source in sources), key=lambda c: (c.jump, -c.view))
            step, macs = max((source.step, source.macs) for source in sources)
            if len(sources) < len(inputs):
                self._macs += _macs(func, args, out)
                step, macs = self._step, self._macs
            for x in _tensors(out):
                self.seen[id(x)] = _Seen(_slide(func, args, cell), step, macs)
        return out


def _slide(func: Any, args: Any, cell: _Cell) -> _Cell:
    """The cells behind one operation along the height; all but windows and padding leave them as they are.

    The formulas are those of Araujo, Norris & Sim 2019 (doi:10.23915/distill.00021).
    """
    aten = torch.ops.aten
    if func is aten.constant_pad_nd.default and args[0].dim() == 4 and len(args[1]) == 4:
        return cell._replace(offset=cell.offset - args[1][2] * cell.jump)
    if func is aten.convolution.default and args[1].dim() == 4 and not args[6]:
        window = Window(args[1].shape[2], args[3][0], args[4][0], args[5][0])
    elif func in (aten.max_pool2d_with_indices.default, aten.avg_pool2d.default):
        kernel, stride, padding = args[1], _at(args, 2) or args[1], _at(args, 3) or [0]
        window = Window(kernel[0], stride[0], padding[0])
    else:
        return cell
    reach = window.extent - 1
    return _Cell(
        jump=cell.jump * window.stride,
        offset=cell.offset + (reach / 2 - window.padding) * cell.jump,
        view=cell.view + reach * cell.jump,
    )


def _at(args: Any, place: int) -> Any:
    return args[place] if len(args) > place else None


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
