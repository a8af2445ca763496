"""The module of every head that gives each pixel a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.backbones import FeatureInfo
from visionkit.heads.base import Head, Predictions
from visionkit.heads.segmentation.parts import DecoderPart, cells
from visionkit.losses import dice_loss, pixel_cross_entropy, pixel_focal_loss
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.structures.masks import pixels_inside

__all__ = ["SegmentationHead"]


class SegmentationHead(Head):
    """The parts of a decoder, run one after the other; see `SegmentationSpec`.

    ``forward`` gives ``logits`` (B, K, H, W) in pixels of the batch, whose images may have any size, and in training,
    where the spec has an auxiliary head, ``auxiliary`` of the same shape.

    Args:
        parts: Each part by its name, those it joins before it.
        layers: The torch modules of the parts.
        maps: What each map declares that the head is given, fine to coarse.
        loss_weights: What ``cross_entropy``, ``dice`` and ``focal`` are multiplied by; 0 leaves a term out.
        focal_gamma: How much the focal loss weights easy pixels down.
        label_smoothing: Share of each pixel's target spread evenly over all classes, in the cross-entropy.
        class_weights: One factor per class in cross-entropy and focal loss.
        auxiliary_weight: What the auxiliary head's loss is multiplied by; None without such a head.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        parts: Mapping[str, DecoderPart],
        layers: Mapping[str, nn.Module],
        *,
        maps: Mapping[str, FeatureInfo],
        loss_weights: Mapping[str, float],
        focal_gamma: float,
        label_smoothing: float,
        class_weights: Sequence[float] | None,
        auxiliary_weight: float | None,
    ) -> None:
        super().__init__()
        self.parts, self.maps = dict(parts), dict(maps)
        self.loss_weights, self.auxiliary_weight = dict(loss_weights), auxiliary_weight
        self.focal_gamma, self.label_smoothing = focal_gamma, label_smoothing
        self._last_use = {source: name for name, part in parts.items() for source in part.sources}
        for name, layer in layers.items():
            self.add_module(name, layer)
        factors = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", factors, persistent=False)

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Raw outputs; see the class.

        Args:
            features: The maps (B, C, H, W) that the head was built on, fine to coarse.
            image_size: Height and width in pixels of the batch's images.
        """
        maps = {
            name: _pad_to_image(features[name], info, image_size)
            for name, info in self.maps.items()
            if name in self._last_use
        }
        for name, part in self.parts.items():
            if part.training_only and not self.training:
                continue
            sources = [maps[source] for source in part.sources]
            for source in part.sources:
                if self._last_use[source] == name:  # its memory is free while the next part is made
                    del maps[source]
            maps[name] = self.get_submodule(name)(_join(part, sources, cells(image_size, part.stride)))
            del sources
        return {name: _resize(maps[name], image_size) for name in ("logits", "auxiliary") if name in maps}

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms that the spec weighs, and ``auxiliary``: theirs for the auxiliary head.

        They are called ``cross_entropy``, ``dice_loss`` (``dice`` is a score) and ``focal``.

        Args:
            outputs: What `forward` returned.
            targets: ``mask`` (B, H, W) uint8, 255 where a pixel does not count.
        """
        losses = self._terms(outputs["logits"], targets["mask"])
        if self.auxiliary_weight is not None and "auxiliary" in outputs:
            terms = self._terms(outputs["auxiliary"], targets["mask"])
            losses["auxiliary"] = self.auxiliary_weight * torch.stack(list(terms.values())).sum()
        return losses

    @torch.no_grad()
    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """The class of each pixel.

        Args:
            outputs: What `forward` returned.
            image_sizes: (B, 2) int64 heights and widths without padding.

        Returns:
            ``mask`` (B, H, W) uint8 in pixels of the batch, and ``scores`` (B, H, W), the classes' probabilities;
            outside the images 255 and 0.
        """
        logits = outputs["logits"]
        scores, mask = logits.float().softmax(dim=1).max(dim=1)
        mask = mask.to(torch.uint8)
        if image_sizes is not None:
            inside = pixels_inside(image_sizes, (logits.shape[2], logits.shape[3]))
            mask, scores = mask.masked_fill(~inside, IGNORE_INDEX), scores.masked_fill(~inside, 0)
        return {"mask": mask, "scores": scores}

    def _terms(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        weights, classes = self.loss_weights, self.class_weights
        terms = {}
        if weights["cross_entropy"]:
            loss = pixel_cross_entropy(logits, mask, class_weights=classes, label_smoothing=self.label_smoothing)
            terms["cross_entropy"] = weights["cross_entropy"] * loss
        if weights["dice"]:
            terms["dice_loss"] = weights["dice"] * dice_loss(logits, mask)
        if weights["focal"]:
            loss = pixel_focal_loss(logits, mask, class_weights=classes, gamma=self.focal_gamma)
            terms["focal"] = weights["focal"] * loss
        return terms


def _pad_to_image(x: Tensor, info: FeatureInfo, image_size: tuple[int, int]) -> Tensor:
    """A map with its outermost cells repeated where, for want of padding, it does not reach the image's edges.

    Resized as it is, what an unpadded net such as LeNet sees in the middle would be drawn out over the whole image.
    """
    before = round((info.offset - (info.stride - 1) / 2) / info.stride)
    margins: list[int] = []
    for size, wanted in zip(x.shape[:1:-1], cells(image_size, info.stride)[::-1], strict=True):  # width, then height
        missing = max(wanted - size, 0)
        first = min(max(before, 0), missing)
        margins += [first, missing - first]
    return F.pad(x, margins, mode="replicate") if any(margins) else x


def _join(part: DecoderPart, sources: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    maps = [_resize(x, size, part.resize) for x in sources]
    if len(maps) == 1:
        return maps[0]
    if part.join == "concat":
        return torch.cat(maps, dim=1)
    total = maps[0]
    for x in maps[1:]:
        total = total + x
    return total


def _resize(x: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=size, mode=mode, align_corners=None if mode == "nearest" else False)
