"""Instance segmentation."""

from visionkit.metrics.base import NoMetrics
from visionkit.metrics.instances import InstanceMetrics
from visionkit.tasks.detect import DetectTask

__all__ = ["InstanceTask"]


class InstanceTask(DetectTask):
    """Trains a detector that draws masks: batches hold ``masks`` (B, M, H, W) bool too, false for padding.

    Validation and test batches hold ``truth_runs`` (B, L), masks at the size of the original images, too, and there
    masks and boxes are scored.
    """

    def configure_metrics(self, class_names: tuple[str, ...], stage: str) -> InstanceMetrics | NoMetrics:
        """COCO's numbers in validation and test; in training the losses suffice."""
        return NoMetrics() if stage == "train" else InstanceMetrics(class_names)
