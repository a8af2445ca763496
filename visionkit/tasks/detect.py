"""The tasks of object detection and of instance segmentation."""

from torch import Tensor

from visionkit.structures.boxes import rescale_boxes
from visionkit.tasks.base import VisionTask

__all__ = ["DetectTask"]


class DetectTask(VisionTask):
    """Trains a detector: batches hold ``boxes`` (B, M, 4) xyxy pixels and ``labels`` (B, M) int64, -1 for padding.

    Batches for instance segmentation also hold ``masks`` (B, M, H, W) bool, false for padding. Validation and test
    batches also hold the ground truth in pixels of the original images, where boxes and masks are evaluated.
    """

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update with predicted boxes, rescaled to pixels of the original images; nothing in training."""
        if stage == "train":
            return
        predictions = self.model.predict(outputs, batch["image_sizes"])
        boxes = rescale_boxes(predictions["boxes"], batch["image_sizes"], batch["original_sizes"])
        self.metrics[stage].update({**predictions, "boxes": boxes}, batch)
