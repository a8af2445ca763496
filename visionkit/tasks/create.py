"""From the name of a task to its LightningModule."""

from visionkit.tasks.base import VisionTask
from visionkit.tasks.classify import ClassifyTask

__all__ = ["TASK_CLASSES"]

TASK_CLASSES: dict[str, type[VisionTask]] = {"classify": ClassifyTask}
"""One class per name in `visionkit.tasks.info.TASKS`."""
