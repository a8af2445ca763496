"""The contract of every neck."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from visionkit.backbones import FeatureInfo

__all__ = ["Neck"]


class Neck(nn.Module, ABC):
    """Maps of a backbone to other maps; a head reads ``feature_info`` and never knows which of both it stands on."""

    feature_info: dict[str, FeatureInfo]

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stage names to maps (B, C, H, W) become level names to maps (B, channels, ~H / stride, ~W / stride)."""
