"""Necks between backbone and head, such as the feature pyramid; specifications need no torch."""

from visionkit.necks.fpn_spec import FPNSpec
from visionkit.necks.spec import NECKS, NeckField, NeckSpec, neck

__all__ = ["NECKS", "FPNSpec", "NeckField", "NeckSpec", "neck"]
