"""A whole model as one torch module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from visionkit.backbones.backbone import Backbone
from visionkit.heads.base import Head, Predictions
from visionkit.losses.sums import LossSums
from visionkit.models.normalize import Normalize
from visionkit.necks.base import Neck

__all__ = ["VisionModel"]


class VisionModel(nn.Module):
    """Normalisation, backbone, neck and head: from uint8 images to raw outputs.

    ``model(images)`` takes (B, C, H, W) uint8, or float32 in 0..255, and returns the raw outputs of the head:
    ``{"logits": (B, K)}`` for classification, logits (B, A, K) of all anchors and more for detection, logits
    (B, K, H, W) for segmentation. `loss` and `predict` compute losses and predictions from
    them. Usable without Lightning.

    Args:
        normalize: From uint8 images to normalised ones.
        backbone: From images to feature maps.
        head: From feature maps to raw outputs.
        neck: From the backbone's feature maps to the head's; None where the head takes the backbone's.
    """

    def __init__(self, normalize: Normalize, backbone: Backbone, head: Head, *, neck: Neck | None = None) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.memory_format = torch.contiguous_format

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        """Raw outputs of a batch.

        Args:
            images: (B, C, H, W) uint8, or float32 in 0..255.
            image_sizes: (B, 2) int64 height and width of each image without padding; None where no image is padded.
        """
        height, width = images.shape[-2:]
        x = self.normalize(images, image_sizes)
        if self.memory_format != torch.contiguous_format:
            x = x.contiguous(memory_format=self.memory_format)
        features: dict[str, Tensor] = self.backbone(x)
        if self.neck is not None:
            features = self.neck(features)
        outputs: dict[str, Tensor] = self.head(features, (height, width))
        return outputs

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised; see `Head.loss`."""
        return self.head.loss(outputs, targets)

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """What adds up to the losses of a split; see `Head.loss_sums`."""
        return self.head.loss_sums(outputs, targets)

    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """Predictions of each image; see `Head.predict`."""
        return self.head.predict(outputs, image_sizes)

    def exported_outputs(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The raw outputs that an exported file gives; see `Head.exported_outputs`."""
        return self.head.exported_outputs(outputs)

    def use_channels_last(self) -> VisionModel:
        """Keep weights and feature maps in the channels-last layout, which is faster on most hardware."""
        self.memory_format = torch.channels_last
        return self.to(memory_format=torch.channels_last)
