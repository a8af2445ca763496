"""Pictures of instance segmentation: as of detection, with a mask for each box."""

from visionkit.report.drawing.detect import DetectDrawing

__all__ = ["InstanceDrawing"]


class InstanceDrawing(DetectDrawing):
    """Masks on images; what overlaps are masks."""

    objects = "masks"
