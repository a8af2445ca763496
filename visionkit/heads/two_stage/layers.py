"""The anchors and the last layers of both stages, as torchvision's two stages take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from visionkit.backbones import FeatureInfo
from visionkit.heads.anchors import anchor_points

__all__ = ["Anchors", "BoxLayers", "ProposalLayers"]


class Anchors(nn.Module):
    """The anchors of all levels, (A, 4) float32 xyxy in pixels."""

    def __init__(
        self,
        levels: Mapping[str, FeatureInfo],
        anchor_shapes: Sequence[Sequence[tuple[float, float]]],
        *,
        corner: bool,
    ) -> None:
        super().__init__()
        self.levels, self.shapes, self.corner = list(levels.values()), anchor_shapes, corner

    def forward(self, maps: Sequence[Tensor], image_size: tuple[int, int]) -> Tensor:
        anchors = []
        for level, shapes, x in zip(self.levels, self.shapes, maps, strict=True):
            points = anchor_points(level, x, image_size, corner=self.corner)[:, :, None]  # (H, W, 1, 2)
            half = torch.tensor(shapes, device=x.device) / 2  # (n, 2)
            anchors.append(torch.cat([points - half, points + half], dim=-1).flatten(0, 2))
        return torch.cat(anchors)


class ProposalLayers(nn.Module):
    """The first stage's layers, shared by all levels."""

    def __init__(self, tower: nn.Module, objectness: nn.Module, deltas: nn.Module) -> None:
        super().__init__()
        self.tower, self.objectness, self.deltas = tower, objectness, deltas

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        hidden = [self.tower(x) for x in maps]
        return [self.objectness(x) for x in hidden], [self.deltas(x) for x in hidden]


class BoxLayers(nn.Module):
    """The second stage's last layers."""

    def __init__(self, classes: nn.Module, boxes: nn.Module) -> None:
        super().__init__()
        self.classes, self.boxes = classes, boxes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(x), self.boxes(x)
