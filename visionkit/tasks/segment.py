"""The task of semantic segmentation."""

from torch import Tensor

from visionkit.structures.masks import restore_masks
from visionkit.tasks.base import VisionTask

__all__ = ["SegmentTask"]


class SegmentTask(VisionTask):
    """Trains a segmenter: outputs hold ``logits`` (B, K, H, W), batches ``mask`` (B, H, W) uint8, 255 ignored.

    Validation and test batches also hold ``truth_mask`` in pixels of the original images, where masks are evaluated.
    """

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update with the most likely class of each pixel of the original images; nothing in training."""
        if stage == "train":
            return
        masks = restore_masks(outputs["logits"].detach().float(), batch["image_sizes"], batch["original_sizes"])
        self.metrics[stage].update(masks, batch["truth_mask"], batch["index"])
