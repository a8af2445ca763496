"""Result files of instance segmentation: as of detection, with run lengths for each box."""

from visionkit.report.writers.detect import DetectWriter

__all__ = ["InstanceWriter"]


class InstanceWriter(DetectWriter):
    """A row per mask, and a picture per image."""

    objects = "masks"
