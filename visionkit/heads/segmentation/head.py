"""The module of all semantic segmentation heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.backbones import FeatureInfo
from visionkit.heads.base import Head, Predictions
from visionkit.heads.segmentation.parts import DecoderPart, map_size
from visionkit.losses.spec import LossTerm
from visionkit.losses.sums import LossSums
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.structures.masks import pixels_inside

__all__ = ["SegmentationHead"]


class SegmentationHead(Head):
    """Runs the parts of a decoder in order; see `visionkit.heads.segmentation.spec.SegmentationSpec`.

    Outputs are ``logits`` (B, K, H, W) in the size of the images, which may be any, and in training with an auxiliary
    head ``auxiliary`` of the same shape.

    Args:
        parts: The parts by name, each after its sources.
        layers: The torch modules of the parts by name.
        maps: The declared channels, stride and offset of each input map, fine to coarse.
        losses: The terms of the sum that is minimised.
        class_weights: A factor per class, for the terms that take them.
        auxiliary_weight: The factor of the auxiliary head's loss; None without such a head.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        parts: Mapping[str, DecoderPart],
        layers: Mapping[str, nn.Module],
        *,
        maps: Mapping[str, FeatureInfo],
        losses: Sequence[LossTerm],
        class_weights: Sequence[float] | None,
        auxiliary_weight: float | None,
    ) -> None:
        super().__init__()
        self.parts, self.maps = dict(parts), dict(maps)
        self.losses, self.auxiliary_weight = list(losses), auxiliary_weight
        self.loss_modules = nn.ModuleList(term.module for term in losses if term.module is not None)
        self._last_use = {source: name for name, part in parts.items() for source in part.sources}
        for name, layer in layers.items():
            self.add_module(name, layer)
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Raw outputs; see the class.

        Args:
            features: The input maps (B, C, H, W) by name.
            image_size: Height and width in pixels of the batch's images.
        """
        used = {name: info for name, info in self.maps.items() if name in self._last_use}
        maps = {name: _pad_to_image(features[name], info, image_size) for name, info in used.items()}
        for name, part in self.parts.items():
            if part.training_only and not self.training:
                continue
            sources = [maps[source] for source in part.sources]
            for source in part.sources:
                if self._last_use[source] == name:  # frees its memory before the part runs
                    del maps[source]
            maps[name] = self.get_submodule(name)(_join(part, sources, map_size(image_size, part.stride)))
            del sources
        return {name: _resize(maps[name], image_size) for name in ("logits", "auxiliary") if name in maps}

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weighted terms, such as ``cross_entropy`` and ``dice_loss``, and the auxiliary head's ``auxiliary``.

        Args:
            outputs: The return value of `forward`.
            targets: ``mask`` (B, H, W) uint8, 255 for ignored pixels.
        """
        losses = self._loss_terms(outputs["logits"], targets["mask"])
        if self.auxiliary_weight is not None and "auxiliary" in outputs:
            terms = self._loss_terms(outputs["auxiliary"], targets["mask"])
            losses["auxiliary"] = self.auxiliary_weight * torch.stack(list(terms.values())).sum()
        return losses

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """The sums of the losses over pixels; see `visionkit.heads.base.Head.loss_sums`."""
        logits, mask = outputs["logits"], targets["mask"]
        weights = self.class_weights
        return {k: v for term in self.losses for k, v in term.named_sums(logits, mask, weights).items()}

    @torch.no_grad()
    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """The class of each pixel.

        Args:
            outputs: The return value of `forward`.
            image_sizes: (B, 2) int64 heights and widths without padding.

        Returns:
            ``mask`` (B, H, W) uint8 class ids in pixels of the batch, and ``scores`` (B, H, W) float32, the
            probabilities of these classes; 255 and 0 in the padding of images.
        """
        logits = outputs["logits"]
        largest, mask = logits.float().max(dim=1, keepdim=True)
        mask = mask[:, 0].to(torch.uint8)
        # the largest of a softmax; onnxruntime takes ten times as long for all of it over channels
        scores = (logits.float() - largest).exp_().sum(dim=1).reciprocal()
        if image_sizes is not None:
            inside = pixels_inside(image_sizes, (logits.shape[2], logits.shape[3]))
            mask, scores = mask.masked_fill(~inside, IGNORE_INDEX), scores.masked_fill(~inside, 0)
        return {"mask": mask, "scores": scores}

    def _loss_terms(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        weights = self.class_weights
        return {k: v for term in self.losses for k, v in term.named(logits, mask, weights).items()}


def _pad_to_image(x: Tensor, info: FeatureInfo, image_size: tuple[int, int]) -> Tensor:
    """Replicates the border of a map that, after unpadded convolutions, does not reach the edges of the image.

    Resized without that, the map of a net such as LeNet, which covers the middle, would be stretched over the image.
    """
    start = round((info.offset - (info.stride - 1) / 2) / info.stride)
    padding: list[int] = []
    for size, target in zip(x.shape[:1:-1], map_size(image_size, info.stride)[::-1], strict=True):  # width, then height
        missing = max(target - size, 0)
        leading = min(max(start, 0), missing)
        padding += [leading, missing - leading]
    return F.pad(x, padding, mode="replicate") if any(padding) else x


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
