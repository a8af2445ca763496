"""What an exported file computes: from images of the run's own dtype to raw outputs and predictions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import UserError
from visionkit.heads.dense.head import DenseHead
from visionkit.heads.two_stage.faster_rcnn import FasterRcnnHead
from visionkit.models.vision_model import VisionModel
from visionkit.structures.static_nms import StaticNms

__all__ = ["CONVERGED", "MAX_CANDIDATES", "ExportGraph", "example_inputs"]

CONVERGED = "converged"
"""The output that says of which images suppression was exact, see `StaticNms`."""

MAX_CANDIDATES = (300, 1000, 3000)
"""What is tried: a well trained detector has few boxes with a score, one that has learnt little has thousands."""

PROPOSAL_ROUNDS = 30
"""Of the suppression of proposals, which overlap in longer chains than detections."""

_NO_OUTPUTS = ("centers_", "anchors", "image_size", "level_")
"""What begins so depends on the size of the images alone, or is a map of features."""


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
        self.suppressions: list[StaticNms] = []
        head = self.model.head
        if isinstance(head, (DenseHead, FasterRcnnHead)):
            head.suppress = self._suppression(limit=max_candidates)
        if isinstance(head, FasterRcnnHead):
            head.suppress_proposals = self._suppression(limit=head.num_proposals, rounds=PROPOSAL_ROUNDS)
        if decode and task in ("detect", "instance") and not self.suppressions:
            raise UserError(
                f"export: the head {type(head).__name__} is of a plugin, and its suppression has no exported form "
                "here. Expected a head of visionkit, or raw outputs alone. Try: decode=false"
            )

    def _suppression(self, *, limit: int, rounds: int = 12) -> StaticNms:
        self.suppressions.append(StaticNms(limit=limit, rounds=rounds))
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
        outputs = {name: value for name, value in raw.items() if not name.startswith(_NO_OUTPUTS)}
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


def example_inputs(data: Mapping[str, Any], *, takes_sizes: bool) -> dict[str, Tensor]:
    """Two images by which a graph is traced.

    Args:
        data: The content of the run's ``data.json``.
        takes_sizes: As of `ExportGraph`.
    """
    height, width = data["image_size"]
    dtype = torch.uint8 if data.get("value_range") is None else torch.float32
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, data["in_channels"], height, width), generator=generator).to(dtype)
    sizes = torch.tensor([[height, width], [max(1, height // 2), width]])
    return {"images": images} | ({"image_sizes": sizes} if takes_sizes else {})
