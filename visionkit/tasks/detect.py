"""Object detection."""

from torch import Tensor

from visionkit.metrics.base import NoMetrics
from visionkit.metrics.detection import DetectionMetrics
from visionkit.structures.boxes import rescale_boxes
from visionkit.tasks.base import VisionTask

__all__ = ["DetectTask"]


class DetectTask(VisionTask):
    """Trains a detector: batches hold ``boxes`` (B, M, 4) xyxy pixels and ``labels`` (B, M) int64, -1 for padding.

    Validation and test batches hold the truth in pixels of the original images too, and there boxes are scored.
    """

    def configure_metrics(self, class_names: tuple[str, ...], stage: str) -> DetectionMetrics | NoMetrics:
        """COCO's numbers in validation and test; in training the losses suffice."""
        return NoMetrics() if stage == "train" else DetectionMetrics(class_names)

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Judge what `predict` gives, with resizing and padding undone."""
        if stage == "train":
            return
        found = self.model.predict(outputs, batch["image_sizes"])
        boxes = rescale_boxes(found["boxes"], batch["image_sizes"], batch["original_sizes"])
        self.metrics[stage].update({**found, "boxes": boxes}, batch)
