"""A whole model as one torch module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from visionkit.backbones.backbone import Backbone
from visionkit.heads.base import Head, Predictions
from visionkit.models.normalize import Normalize
from visionkit.necks.base import Neck

__all__ = ["VisionModel"]


class VisionModel(nn.Module):
    """Preprocessing, backbone, neck and head: plain images in, raw outputs out.

    ``model(images)`` takes (B, C, H, W) uint8 and gives, for classification, ``{"logits": (B, K)}``, for
    detection logits (B, A, K) of all places first;
    `loss` and `predict` turn these into what training and people want. Usable without Lightning.

    Args:
        normalize: Bytes to normalised numbers.
        backbone: Images to feature maps.
        head: Feature maps to raw outputs.
        neck: Feature maps to those that the head takes; None where it takes the backbone's.
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
            images: (B, C, H, W) uint8.
            image_sizes: (B, 2) int64 height and width of each image, where some are padded.
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
        """Named scalars that add up to what is minimised; see `Head.loss`."""
        return self.head.loss(outputs, targets)

    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """What a person wants; see `Head.predict`."""
        return self.head.predict(outputs, image_sizes)

    def use_channels_last(self) -> VisionModel:
        """Keep weights and maps in the channels-last layout, which convolutions on most hardware prefer."""
        self.memory_format = torch.channels_last
        return self.to(memory_format=torch.channels_last)
