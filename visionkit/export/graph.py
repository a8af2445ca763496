"""What an exported file computes: from images of the run's own dtype to raw outputs and predictions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import UserError
from visionkit.heads.dense.head import DenseHead
from visionkit.models.vision_model import VisionModel
from visionkit.structures.static_nms import StaticNms

__all__ = ["CONVERGED", "MAX_CANDIDATES", "NOT_PER_IMAGE", "ExportGraph"]

CONVERGED = "converged"
"""The output that says of which images suppression was exact, see `StaticNms`."""

MAX_CANDIDATES = (300, 1000, 3000)
"""What is tried: a well trained detector has few boxes with a score, one that has learnt little has thousands."""

NOT_PER_IMAGE = ("centers_", "anchors", "image_size")
"""What begins so depends on the size of the images alone."""


class ExportGraph(nn.Module):
    """A model without loops over data, whose shapes depend on those of its inputs alone.

    Args:
        model: The trained model, which is copied.
        task: Its task.
        decode: Whether predictions are among the outputs.
        takes_sizes: Whether images are padded, so that their own sizes are an input.
        max_candidates: Of a detector, the boxes of an image, by score, of which overlapping ones are suppressed.

    Raises:
        UserError: If the head has no such form.
    """

    def __init__(
        self, model: VisionModel, *, task: str, decode: bool, takes_sizes: bool, max_candidates: int = MAX_CANDIDATES[0]
    ) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decode, self.takes_sizes = decode, takes_sizes
        self.nms: StaticNms | None = None
        head = self.model.head
        if isinstance(head, DenseHead):
            self.nms = head.suppress = StaticNms(limit=max_candidates)
        elif task in ("detect", "instance"):
            raise UserError(
                f"export: the head {type(head).__name__} finds as many regions as an image has, which no exported form "
                "is made of yet. Expected a head of one stage. Train one: head=fcos_small, or head=retinanet_small"
            )

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        """Raw outputs and predictions of a batch.

        Args:
            images: (B, C, H, W) uint8, or float32 in 0..255, as they are resized and padded for the run.
            image_sizes: (B, 2) int64 height and width without padding, if they are an input.

        Returns:
            The raw outputs of the head, those of `visionkit.heads.base.Head.predict` by their names, and of detectors
            ``converged`` (B,) bool.
        """
        raw = self.model(images, image_sizes)
        outputs = {name: value for name, value in raw.items() if not name.startswith(NOT_PER_IMAGE)}
        if not self.decode:
            return outputs
        outputs |= self.model.predict(raw, image_sizes)
        if self.nms is not None:
            outputs[CONVERGED] = self.nms.converged
        return outputs

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The outputs as arrays, as an exported file gives them."""
        return {name: value.numpy() for name, value in self(**inputs).items()}
