"""What the commands do differently for each task."""

from visionkit.commands.kits.base import Results, TaskKit
from visionkit.commands.kits.classify import ClassifyKit
from visionkit.commands.kits.detect import DetectKit
from visionkit.commands.kits.instance import InstanceKit
from visionkit.commands.kits.segment import SegmentKit

__all__ = ["KITS", "Results", "TaskKit"]

KITS: dict[str, TaskKit] = {
    "classify": ClassifyKit(),
    "detect": DetectKit(),
    "segment": SegmentKit(),
    "instance": InstanceKit(),
}
"""One per name in `visionkit.tasks.info.TASKS`."""
