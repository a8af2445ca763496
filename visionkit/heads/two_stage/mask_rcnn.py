"""Mask R-CNN: Faster R-CNN with a mask for each box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from visionkit.backbones import FeatureInfo
from visionkit.heads.base import Predictions
from visionkit.heads.two_stage.faster_rcnn import FasterRcnnHead, MeanLosses, SampledProposals
from visionkit.heads.two_stage.pooling import RoiPooling, with_images
from visionkit.heads.two_stage.selection import scatter_rows

__all__ = ["MaskRcnnHead"]


class MaskRcnnHead(FasterRcnnHead):
    """Faster R-CNN with a mask branch (He et al. 2017, arXiv:1703.06870, section 3).

    The branch predicts a mask for each class, and only that of the target class is trained. `predict` adds
    ``mask_logits`` (B, D, 28, 28) float32, a mask in the frame of each box, above 0 inside the object; see
    `visionkit.structures.rle.paste_masks`.

    Args:
        layers: The layers of `FasterRcnnHead`, and ``masks``.
        mask_pooled_size: Rows and columns pooled for a mask, which has twice as many.
        levels: As for `FasterRcnnHead`.
        num_pooled: As for `FasterRcnnHead`.
        corner: As for `FasterRcnnHead`.
        **two_stage: The other arguments of `FasterRcnnHead`.
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

    def extra_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], sampled: SampledProposals
    ) -> MeanLosses:
        """``masks``: binary cross-entropy of the positive sampled proposals, in the mask of the target class.

        Args:
            outputs: The return value of `forward`.
            targets: ``masks`` (B, M, H, W) bool and ``labels`` (B, M) int64, -1 for padding.
            sampled: The sampled proposals.
        """
        positive = [labels > 0 for labels in sampled.labels]
        boxes, matched, labels = (
            [rows[keep] for rows, keep in zip(values, positive, strict=True)]
            for values in (sampled.boxes, sampled.matched, sampled.labels)
        )
        logits = _select_class(self._mask_logits(outputs, *with_images(boxes)), torch.cat(labels))
        if not len(logits):
            return {"masks": (logits.sum(), 0)}
        images = zip(targets["masks"], targets["labels"], boxes, matched, strict=True)
        mask_targets = [self._mask_targets(masks[ids >= 0], *regions) for masks, ids, *regions in images]
        return {"masks": (F.binary_cross_entropy_with_logits(logits, torch.cat(mask_targets)), len(logits))}

    def extra_predictions(self, outputs: Mapping[str, Tensor], boxes: Tensor, labels: Tensor) -> Predictions:
        """``mask_logits`` (B, D, 28, 28) float32, zeros for padding."""
        present = labels >= 0
        images, rows = torch.where(present)  # the mask branch looks at these alone
        logits = self._mask_logits(outputs, boxes[images, rows], images)
        return {"mask_logits": scatter_rows(_select_class(logits, labels[images, rows] + 1), present)}

    def _mask_logits(self, outputs: Mapping[str, Tensor], boxes: Tensor, images: Tensor) -> Tensor:
        """Mask logits of N boxes (N, 4) of images (N,), (N, K + 1, 28, 28) float32; class 0 is the background."""
        logits: Tensor = self.masks(self.mask_pool(self.maps(outputs), boxes, images))
        return logits.float()

    def _mask_targets(self, masks: Tensor, boxes: Tensor, matched: Tensor) -> Tensor:
        """The masks (m, H, W) of one image's objects resampled in the frames of n boxes: (n, 28, 28) in 0..1."""
        regions = torch.cat([matched[:, None].to(boxes.dtype), boxes], dim=1)
        # with ``corner``, pixels are centred on whole numbers, as in torchvision
        resampled: Tensor = roi_align(masks[:, None].to(boxes.dtype), regions, self.mask_size, aligned=not self.corner)
        return resampled[:, 0]


def _select_class(logits: Tensor, labels: Tensor) -> Tensor:
    """The map of each row's class (N,), (N, S, S), of logits (N, K + 1, S, S)."""
    return logits[torch.arange(logits.shape[0], device=logits.device), labels]
