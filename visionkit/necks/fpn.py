"""The feature pyramid as a torch module, and the contract of every neck."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import build
from visionkit.necks.spec import FPN

__all__ = ["FeaturePyramid", "Neck"]


class Neck(nn.Module, ABC):
    """Maps of a backbone to other maps; a head reads ``feature_info`` and never knows which of both it stands on."""

    feature_info: dict[str, FeatureInfo]

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stage names to maps (B, C, H, W) become level names to maps (B, channels, ~H / stride, ~W / stride)."""


class FeaturePyramid(Neck):
    """A feature pyramid: every level sees as far as the coarsest stage (Lin et al. 2017, section 3).

    On a ResNet-50 and a (2, 3, 224, 224) batch the defaults give ``{"stride8": (2, 256, 28, 28), "stride16":
    (2, 256, 14, 14), ..., "stride128": (2, 256, 2, 2)}``.

    Args:
        spec: What to build.
        backbone: Where it stands.
        image_size: Height and width in pixels, for the arithmetic alone; the module takes any.

    Raises:
        UserError: If the image is too small for the backbone.
    """

    def __init__(self, spec: FPN, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.spec = spec
        self.feature_info = spec.feature_info(backbone)
        self._stages = {level: stage.name for level, stage in spec.stages(backbone).items()}
        self.lateral = nn.ModuleDict()
        self.output = nn.ModuleDict()
        self.extra = nn.ModuleDict()
        for record in spec.trace(backbone, image_size=image_size):
            _, kind, level = record.path
            self.get_submodule(kind).add_module(level, build(record.node, record.before)[0])

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The levels, fine to coarse.

        Args:
            features: The backbone's maps, of which those in `FPN.stages` are used.
        """
        levels: dict[str, Tensor] = {}
        merged: Tensor | None = None
        for level in reversed(self._stages):
            new: Tensor = self.lateral[level](features[self._stages[level]])
            merged = new if merged is None else new + F.interpolate(merged, size=new.shape[-2:], mode="nearest")
            levels[level] = self.output[level](merged)
        levels = {level: levels[level] for level in self._stages}
        coarsest = list(self._stages)[-1]
        x = features[self._stages[coarsest]] if self.spec.extra_from == "stage" else levels[coarsest]
        for level, layer in self.extra.items():
            levels[level] = x = layer(x)
        return levels
