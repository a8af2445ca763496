"""The feature pyramid as a torch module."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.backbones import FeatureInfo
from visionkit.necks.base import Neck

__all__ = ["FPN"]


class FPN(Neck):
    """A feature pyramid: a top-down pathway with lateral connections (Lin et al. 2017, arXiv:1612.03144, section 3).

    On a ResNet-50 and a (2, 3, 224, 224) batch the defaults give ``{"stride8": (2, 256, 28, 28), "stride16":
    (2, 256, 14, 14), ..., "stride128": (2, 256, 2, 2)}``.

    Args:
        lateral: Level names to the layers from a stage to its level.
        output: Level names to the layers on the sum of a level and the coarser ones.
        extra: Level names to the layers of each extra level, whose input is the level before.
        stages: Level names to the stages they are made from, fine to coarse.
        feature_info: Level names to the description of their maps, fine to coarse.
        extra_from: ``level`` or ``stage``: the first extra level is made from the coarsest level or stage.
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
        """Compute the levels, fine to coarse, as `Neck.forward`; stages without a level are ignored."""
        levels: dict[str, Tensor] = {}
        merged: Tensor | None = None
        for level in reversed(self._stages):
            lateral: Tensor = self.lateral[level](features[self._stages[level]])
            if merged is not None:
                lateral = lateral + F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
            merged = lateral
            levels[level] = self.output[level](merged)
        levels = {level: levels[level] for level in self._stages}
        coarsest = list(self._stages)[-1]
        x = features[self._stages[coarsest]] if self._extra_from == "stage" else levels[coarsest]
        for level, layer in self.extra.items():
            levels[level] = x = layer(x)
        return levels
