"""The feature pyramid as a torch module."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.backbones import FeatureInfo
from visionkit.necks.base import Neck

__all__ = ["FPN"]


class FPN(Neck):
    """A feature pyramid: every level sees as far as the coarsest stage (Lin et al. 2017, section 3).

    On a ResNet-50 and a (2, 3, 224, 224) batch the defaults give ``{"stride8": (2, 256, 28, 28), "stride16":
    (2, 256, 14, 14), ..., "stride128": (2, 256, 2, 2)}``.

    Args:
        lateral: Layers from a stage to its level, by the level's name.
        output: Layers behind the sum of a level and the coarser ones.
        extra: Layers that make each coarser level of the one before.
        stages: Levels to the stages they stand on, fine to coarse.
        feature_info: What each level gives, fine to coarse.
        extra_from: Whether the first extra level is made from the coarsest ``level`` or from the last ``stage``'s map.
    """

    def __init__(
        self,
        *,
        lateral: Mapping[str, nn.Module],
        output: Mapping[str, nn.Module],
        extra: Mapping[str, nn.Module],
        stages: Mapping[str, str],
        feature_info: Mapping[str, FeatureInfo],
        extra_from: str,
    ) -> None:
        super().__init__()
        self.feature_info = dict(feature_info)
        self.lateral, self.output, self.extra = (nn.ModuleDict(layers) for layers in (lateral, output, extra))
        self._stages, self._extra_from = dict(stages), extra_from

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The levels, fine to coarse.

        Args:
            features: The backbone's maps, of which those that levels stand on are used.
        """
        levels: dict[str, Tensor] = {}
        merged: Tensor | None = None
        for level in reversed(self._stages):
            new: Tensor = self.lateral[level](features[self._stages[level]])
            merged = new if merged is None else new + F.interpolate(merged, size=new.shape[-2:], mode="nearest")
            levels[level] = self.output[level](merged)
        levels = {level: levels[level] for level in self._stages}
        coarsest = list(self._stages)[-1]
        x = features[self._stages[coarsest]] if self._extra_from == "stage" else levels[coarsest]
        for level, layer in self.extra.items():
            levels[level] = x = layer(x)
        return levels
