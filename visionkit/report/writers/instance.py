"""Result files of instance segmentation: as for detection, with run-length encoded masks."""

from visionkit.report.writers.detect import DetectWriter

__all__ = ["InstanceWriter"]


class InstanceWriter(DetectWriter):
    """A row per mask, and an annotated image."""

    objects = "masks"
