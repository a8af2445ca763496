"""The task of instance segmentation."""

from visionkit.metrics.base import NoMetrics
from visionkit.metrics.instance import InstanceMetrics
from visionkit.tasks.detect import DetectTask

__all__ = ["InstanceTask"]


class InstanceTask(DetectTask):
    """Trains a detector with masks: batches also hold ``masks`` (B, M, H, W) bool, false for padding.

    Validation and test batches also hold ``truth_runs`` (B, L) uint8, run-length encoded masks at the size of the
    original images, where masks and boxes are evaluated.
    """

    def configure_metrics(self, class_names: tuple[str, ...], stage: str) -> InstanceMetrics | NoMetrics:
        """COCO's metrics in validation and test, none in training."""
        return NoMetrics() if stage == "train" else InstanceMetrics(class_names)
