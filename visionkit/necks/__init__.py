"""Necks: what stands between a backbone and a head, read like a backbone. Their specs need no torch."""

from visionkit.necks.spec import NECKS, FPNSpec

__all__ = ["NECKS", "FPNSpec"]
