"""The interface of all necks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from visionkit.backbones import FeatureInfo

__all__ = ["Neck"]


class Neck(nn.Module, ABC):
    """Transforms the maps of a backbone; ``feature_info`` describes the outputs to a head as a backbone's does."""

    feature_info: dict[str, FeatureInfo]

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stage names to maps (B, C, h, w), in; level names to maps (B, channels, ~H / stride, ~W / stride), out.

        H and W are the height and width of the images.
        """
