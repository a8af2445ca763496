"""Semantic segmentation."""

from torch import Tensor

from visionkit.metrics.base import NoMetrics
from visionkit.metrics.segmentation import SegmentationMetrics
from visionkit.structures.masks import restore_masks
from visionkit.tasks.base import VisionTask

__all__ = ["SegmentTask"]


class SegmentTask(VisionTask):
    """Gives each pixel a class: outputs hold ``logits`` (B, K, H, W), batches ``mask`` (B, H, W) uint8, 255 ignored.

    Validation and test batches hold the truth in pixels of the original images too, and there masks are scored.
    """

    def configure_metrics(self, class_names: tuple[str, ...], stage: str) -> SegmentationMetrics | NoMetrics:
        """Overlaps of masks in validation and test; in training the losses suffice."""
        return NoMetrics() if stage == "train" else SegmentationMetrics(class_names)

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Judge the most likely class of each pixel, with resizing and padding undone."""
        if stage == "train":
            return
        masks = restore_masks(outputs["logits"].detach().float(), batch["image_sizes"], batch["original_sizes"])
        self.metrics[stage].update(masks, batch["truth_mask"])
