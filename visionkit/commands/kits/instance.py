"""Instance segmentation in the commands: as detection, with a mask for each box."""

from visionkit.commands.kits.detect import DetectKit

__all__ = ["InstanceKit"]


class InstanceKit(DetectKit):
    """Masks, precision over recall, annotated images, and ``predictions.json`` with run lengths."""

    things = "masks"
