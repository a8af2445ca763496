"""The interface of every head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from visionkit.heads.spec import HeadSpec
from visionkit.losses.sums import LossSums

__all__ = ["Head", "Predictions"]

Predictions = dict[str, Tensor]
"""Tensors with a row per image, by names such as ``labels``, ``scores``, ``probabilities``, ``boxes`` and ``mask``."""


class Head(nn.Module, ABC):
    """Computes raw outputs from features, and a loss or predictions from raw outputs.

    For a batch of B images a classification head turns ``{"layer4": (B, 512, 7, 7)}`` into
    ``{"logits": (B, K)}``. An exported file runs `forward` and `predict`. A head that suppresses overlapping boxes does
    so by its attribute ``suppress``, `visionkit.structures.boxes.batched_nms` or a function of its arguments, in whose
    place an export puts one of fixed shapes.

    Attributes:
        spec: The specification it was built from, by `visionkit.heads.build.build_head`.
    """

    spec: HeadSpec

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Raw outputs.

        Args:
            features: Stage or level names to maps (B, C, H, W), fine to coarse.
            image_size: Height and width in pixels of the batch's images.
        """

    def exported_outputs(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of `forward` that an exported file gives, each with a row per image; unless a head says otherwise, all.

        Args:
            outputs: The return value of `forward`.
        """
        return dict(outputs)

    @abstractmethod
    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised.

        Args:
            outputs: The return value of `forward`.
            targets: The batch's padded targets, such as ``label`` (B,) int64.
        """

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """What adds up over the batches of an evaluation to the losses of its images, by the names of `loss`.

        Unless a head says otherwise, the mean over images of the losses of batches, which depends on their size.

        Args:
            outputs: The return value of `forward`, outside training.
            targets: As for `loss`, with ``index`` (B,) int64, the index of each image in its split.
        """
        return {
            name: LossSums.of_mean(loss, len(targets["images"])) for name, loss in self.loss(outputs, targets).items()
        }

    @abstractmethod
    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """Predictions of each image.

        Args:
            outputs: The return value of `forward`.
            image_sizes: (B, 2) int64 heights and widths without padding, or None where no image is padded.
        """
