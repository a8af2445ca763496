"""The task of object detection."""

from torch import Tensor

from visionkit.metrics.base import NoMetrics
from visionkit.metrics.detection import DetectionMetrics
from visionkit.structures.boxes import rescale_boxes
from visionkit.tasks.base import VisionTask

__all__ = ["DetectTask"]


class DetectTask(VisionTask):
    """Trains a detector: batches hold ``boxes`` (B, M, 4) xyxy pixels and ``labels`` (B, M) int64, -1 for padding.

    Validation and test batches also hold the ground truth in pixels of the original images, where boxes are evaluated.
    """

    def configure_metrics(self, class_names: tuple[str, ...], stage: str) -> DetectionMetrics | NoMetrics:
        """COCO's metrics in validation and test, none in training."""
        return NoMetrics() if stage == "train" else DetectionMetrics(class_names)

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update with predicted boxes, rescaled to pixels of the original images; nothing in training."""
        if stage == "train":
            return
        predictions = self.model.predict(outputs, batch["image_sizes"])
        boxes = rescale_boxes(predictions["boxes"], batch["image_sizes"], batch["original_sizes"])
        self.metrics[stage].update({**predictions, "boxes": boxes}, batch)
