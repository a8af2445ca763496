"""From the name of a task to its LightningModule."""

from visionkit.tasks.base import VisionTask
from visionkit.tasks.classify import ClassifyTask
from visionkit.tasks.detect import DetectTask
from visionkit.tasks.instance import InstanceTask
from visionkit.tasks.segment import SegmentTask

__all__ = ["TASK_CLASSES"]

TASK_CLASSES: dict[str, type[VisionTask]] = {
    "classify": ClassifyTask,
    "detect": DetectTask,
    "segment": SegmentTask,
    "instance": InstanceTask,
}
"""One class per name in `visionkit.tasks.info.TASKS`."""
