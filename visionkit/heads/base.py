"""The contract of every head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from visionkit.heads.spec import HeadSpec

__all__ = ["Head", "Predictions"]

Predictions = dict[str, Tensor]
"""What a person wants to know, one row per image: ``labels``, ``scores``, ``probabilities``, ``boxes``, ``masks``."""


class Head(nn.Module, ABC):
    """Features to raw outputs, raw outputs to a loss, raw outputs to predictions.

    For a batch of B images a classification head turns ``{"layer4": (B, 512, 7, 7)}`` into
    ``{"logits": (B, K)}``. `forward` alone is what an exported model runs.

    Attributes:
        spec: What it was built from, by `visionkit.heads.build.build_head`.
    """

    spec: HeadSpec

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Raw outputs.

        Args:
            features: Stage or level names to maps (B, C, H, W), fine to coarse.
            image_size: Height and width in pixels of the batch's images.
        """

    @abstractmethod
    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named scalars that add up to what is minimised.

        Args:
            outputs: What `forward` returned.
            targets: The batch's padded targets, such as ``label`` (B,) int64.
        """

    @abstractmethod
    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """What a person wants.

        Args:
            outputs: What `forward` returned.
            image_sizes: (B, 2) int64 heights and widths without padding, or None where there is none.
        """
