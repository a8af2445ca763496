"""The module of all classification heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from visionkit.heads.base import Head, Predictions
from visionkit.losses.spec import LossTerm
from visionkit.losses.sums import LossSums

__all__ = ["ClassificationHead", "MultilabelHead"]

T = TypeVar("T")


class ClassificationHead(Head):
    """Layers from the last feature map to a logit per class, trained with cross-entropy.

    Args:
        layers: A module from (B, C, H, W) to (B, K).
        input_size: Height and width of the last map where the layers flatten it; None where any size will do.
        losses: The terms of the sum that is minimised.
        class_weights: A factor per class on the loss of its samples, for the terms that take them.
    """

    class_weights: Tensor | None

    target: ClassVar[str] = "label"
    """The key of the targets in a batch."""

    def __init__(
        self,
        layers: nn.Module,
        *,
        input_size: tuple[int, ...] | None = None,
        losses: Sequence[LossTerm],
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.input_size = input_size
        self.losses = list(losses)
        self.loss_modules = nn.ModuleList(term.module for term in losses if term.module is not None)
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Maps to ``{"logits": (B, K)}`` floating point.

        Raises:
            ValueError: If the head flattens and the images are not of the size it was built for.
        """
        last = list(features.values())[-1]
        if self.input_size is not None and tuple(last.shape[-2:]) != self.input_size:
            raise ValueError(
                f"this head flattens a {self.input_size[0]}x{self.input_size[1]} map, but images of "
                f"{image_size[0]}x{image_size[1]} pixels give {last.shape[-2]}x{last.shape[-1]}. "
                "Resize the images, or build the model with image_size= or head='linear'."
            )
        return {"logits": self.layers(last)}

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weighted terms by name; a single one as ``{"loss": ()}``.

        Args:
            outputs: The return value of `forward`.
            targets: ``label`` (B,) int64 in 0..K-1, or the shares of classes in mixed images, (B, K) float32.
        """
        logits, labels, weights = outputs["logits"], targets[self.target], self.class_weights
        return _only_loss({k: v for term in self.losses for k, v in term.named(logits, labels, weights).items()})

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """The sums of the losses; see `visionkit.heads.base.Head.loss_sums`."""
        logits, labels, weights = outputs["logits"], targets[self.target], self.class_weights
        return _only_loss({k: v for term in self.losses for k, v in term.named_sums(logits, labels, weights).items()})

    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """``probabilities`` (B, K) float32 in 0..1 that sum to 1, ``labels`` (B,) int64 and their ``scores`` (B,)."""
        probabilities = outputs["logits"].float().softmax(dim=1)
        scores, labels = probabilities.max(dim=1)
        return {"labels": labels, "scores": scores, "probabilities": probabilities}


def _only_loss(losses: dict[str, T]) -> dict[str, T]:
    return {"loss": next(iter(losses.values()))} if len(losses) == 1 else losses


class MultilabelHead(ClassificationHead):
    """Layers to a logit per class, which an image has or not; targets are ``label_set`` (B, K), 0 or 1, or shares."""

    target = "label_set"

    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """``probabilities`` (B, K) float32, each in 0..1."""
        return {"probabilities": outputs["logits"].float().sigmoid()}
