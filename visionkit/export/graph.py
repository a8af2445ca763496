"""What an exported file computes: from images of the run's own dtype to raw outputs and predictions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import UserError
from visionkit.models.onnx_model import CONVERGED
from visionkit.models.vision_model import VisionModel
from visionkit.structures.static_nms import StaticNms

__all__ = ["SUPPRESSIONS", "ExportGraph"]

SUPPRESSIONS = ((300, 12), (1000, 12), (1500, 12), (2000, 12), (3000, 12), (3000, 24), (3000, 48))
"""What is tried, boxes of an image and rounds: a well trained detector has few boxes with a score, one that has learnt
little has thousands, in long chains of overlaps."""

PROPOSAL_ROUNDS = 30
"""Of the suppression of proposals, which overlap in longer chains than detections."""


class ExportGraph(nn.Module):
    """A model without loops over data, whose shapes depend on those of its inputs alone.

    Args:
        model: The trained model, which is copied.
        task: Its task.
        decode: Whether predictions are among the outputs.
        suppression: Of a detector, the boxes of an image, by score, of which overlapping ones are suppressed, and the
            rounds, see `StaticNms`.

    Raises:
        UserError: If the head has no such form.
    """

    def __init__(
        self,
        model: VisionModel,
        *,
        task: str,
        decode: bool,
        suppression: tuple[int, int] = SUPPRESSIONS[0],
    ) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decode = decode
        self.suppressions: list[StaticNms] = []
        head: Any = self.model.head
        if hasattr(head, "suppress"):
            limit, rounds = suppression
            head.suppress = self._suppression(limit, rounds, max_kept=getattr(head, "max_detections", None))
        if hasattr(head, "suppress_proposals"):
            head.suppress_proposals = self._suppression(head.num_proposals, PROPOSAL_ROUNDS, max_kept=None)
        if decode and task in ("detect", "instance") and not self.suppressions:
            raise UserError(
                f"export: the head {type(head).__name__} has no attribute 'suppress', and how many boxes it keeps "
                "depends on the data. Expected one as visionkit.heads.base.Head says. Try: decode=false"
            )

    def _suppression(self, limit: int, rounds: int, *, max_kept: int | None) -> StaticNms:
        self.suppressions.append(StaticNms(limit=limit, rounds=rounds, max_kept=max_kept))
        return self.suppressions[-1]

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
        outputs = self.model.exported_outputs(raw)
        if not self.decode:
            return outputs
        outputs |= self.model.predict(raw, image_sizes)
        if self.suppressions:
            parts = [part.converged.reshape(images.shape[0], -1) for part in self.suppressions]
            outputs[CONVERGED] = torch.cat(parts, dim=1).all(dim=1)
        return outputs

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The outputs as arrays, as an exported file gives them."""
        return {name: value.numpy() for name, value in self(**inputs).items()}
