"""Mask R-CNN: a mask for each box that Faster R-CNN finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from visionkit.backbones import FeatureInfo
from visionkit.heads.two_stage.faster_rcnn import FasterRcnnHead, SampledProposals, Sizes
from visionkit.heads.two_stage.pooling import RoiPooling

__all__ = ["MaskRcnnHead"]


class MaskRcnnHead(FasterRcnnHead):
    """Boxes, and for each the mask of its class (He et al. 2017, arXiv:1703.06870, section 3).

    Classes do not compete: each box and class has a mask of its own, and only that of the right class learns.
    `predict` adds ``mask_logits`` (B, D, 28, 28): float32, stretched over its box, above 0 where the object is; see
    `visionkit.structures.rle.paste_masks`.

    Args:
        layers: Those of `FasterRcnnHead`, and ``masks``.
        mask_pooled_size: Rows and columns that are pooled for a mask, which has twice as many.
        levels: As for `FasterRcnnHead`.
        num_pooled: As for `FasterRcnnHead`.
        corner: As for `FasterRcnnHead`.
        **two_stage: The rest, as for `FasterRcnnHead`.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        *,
        mask_pooled_size: int,
        levels: Mapping[str, FeatureInfo],
        num_pooled: int,
        corner: bool,
        **two_stage: Any,
    ) -> None:
        super().__init__(layers, levels=levels, num_pooled=num_pooled, corner=corner, **two_stage)
        self.corner, self.mask_size = corner, 2 * mask_pooled_size
        self.mask_pool = RoiPooling(list(levels.values())[:num_pooled], corner=corner, size=mask_pooled_size)
        self.masks = layers["masks"]

    def more_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], drawn: SampledProposals
    ) -> dict[str, Tensor]:
        """``masks``: binary cross-entropy of the drawn proposals that are objects, in the mask of the object's class.

        Args:
            outputs: What `forward` returned.
            targets: ``masks`` (B, M, H, W) bool beside ``labels`` (B, M).
            drawn: The proposals.
        """
        objects = [labels > 0 for labels in drawn.labels]
        boxes, matched, labels = (
            [rows[keep] for rows, keep in zip(each, objects, strict=True)]
            for each in (drawn.boxes, drawn.matched, drawn.labels)
        )
        logits = _of_class(self._logits(outputs, boxes, drawn.sizes), labels)
        if not len(logits):
            return {"masks": logits.sum()}
        each = zip(targets["masks"], targets["labels"], boxes, matched, strict=True)
        wanted = [self._wanted(masks[there >= 0], *regions) for masks, there, *regions in each]
        return {"masks": F.binary_cross_entropy_with_logits(logits, torch.cat(wanted))}

    def more_predictions(
        self, outputs: Mapping[str, Tensor], boxes: list[Tensor], labels: list[Tensor], sizes: Sizes
    ) -> dict[str, list[Tensor]]:
        """``mask_logits`` (n, 28, 28) of each image's boxes."""
        logits = _of_class(self._logits(outputs, boxes, sizes), labels)
        of_images = torch.split(logits, [len(one) for one in boxes])  # type: ignore[no-untyped-call]
        return {"mask_logits": list(of_images)}

    def _logits(self, outputs: Mapping[str, Tensor], boxes: list[Tensor], sizes: Sizes) -> Tensor:
        """Of all boxes, (N, K + 1, 28, 28); the first class is torchvision's background."""
        logits: Tensor = self.masks(self.mask_pool(self.maps(outputs), boxes, sizes))
        return logits.float()

    def _wanted(self, masks: Tensor, boxes: Tensor, matched: Tensor) -> Tensor:
        """What of its object lies in each cell of a box: (n, 28, 28) in 0..1, from masks (m, H, W) of one image."""
        regions = torch.cat([matched[:, None].to(boxes.dtype), boxes], dim=1)
        # torchvision's pixels are centred on whole numbers, as its cells are
        wanted: Tensor = roi_align(masks[:, None].to(boxes.dtype), regions, self.mask_size, aligned=not self.corner)
        return wanted[:, 0]


def _of_class(logits: Tensor, labels: list[Tensor]) -> Tensor:
    """Of each row (N, K + 1, S, S) the map of its class: (N, S, S)."""
    return logits[torch.arange(len(logits), device=logits.device), torch.cat(labels)]
