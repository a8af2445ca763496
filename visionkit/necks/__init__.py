"""Necks between backbone and head, such as the feature pyramid; specifications need no torch."""

from visionkit.necks.spec import NECKS, FPNSpec

__all__ = ["NECKS", "FPNSpec"]
