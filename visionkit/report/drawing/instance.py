"""Plots of instance segmentation: as for detection, with masks."""

from visionkit.report.drawing.detect import DetectDrawing

__all__ = ["InstanceDrawing"]


class InstanceDrawing(DetectDrawing):
    """As `DetectDrawing`, with IoU of masks."""

    objects = "masks"
