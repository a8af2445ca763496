"""The backbone as a torch module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from visionkit.backbones.feature_info import FeatureInfo
from visionkit.backbones.spec import BackboneSpec
from visionkit.blocks import FeatureShape, build
from visionkit.errors import UserError, did_you_mean

__all__ = ["Backbone", "Stage"]


class Stage(Protocol):
    """What freezing asks of a stage."""

    def requires_grad_(self, requires_grad: bool) -> Any:
        """Let its parameters learn, or not."""

    def eval(self) -> Any:
        """Take no statistics."""


class Backbone(nn.Module):
    """Stages of blocks that turn images into feature maps, fine to coarse.

    ``feature_info`` declares each map before any forward pass; for a (2, 3, 224, 224) batch a
    ResNet-50 gives ``{"stem": (2, 64, 112, 112), "layer1": (2, 256, 56, 56), "layer2":
    (2, 512, 28, 28), "layer3": (2, 1024, 14, 14), "layer4": (2, 2048, 7, 7)}``.

    Each stage is a child module under its own name.

    Args:
        spec: What to build.
        out_features: The stages whose maps `forward` returns; all of them unless given. Stages
            behind the last one wanted are not built.

    Raises:
        UserError: If ``out_features`` names a stage that is not there.
    """

    feature_info: dict[str, FeatureInfo]

    def __init__(self, spec: BackboneSpec, out_features: Sequence[str] | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.feature_info = _wanted(spec, out_features)
        names = list(spec.stages)
        self._stage_names = names[: names.index(list(self.feature_info)[-1]) + 1]
        self._frozen = 0
        self._make_layers()

    def _make_layers(self) -> None:
        shape = FeatureShape.image(self.spec.in_channels, 32_768)
        for name in self._stage_names:
            module, shape = build(self.spec.stages[name], shape)
            self.add_module(name, module)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps of normalised images.

        Args:
            images: (B, C, H, W) floating point.

        Returns:
            Stage names to maps (B, channels, ~H / stride, ~W / stride), fine to coarse.
        """
        features = {}
        x = images
        for name in self._stage_names:
            x = getattr(self, name)(x)
            if name in self.feature_info:
                features[name] = x
        return features

    def forward_features(self, images: Tensor) -> Tensor:
        """The last map alone: (B, C, H, W) floating point to (B, channels, ~H / stride, ~W / stride)."""
        x = images
        for name in self._stage_names:
            x = getattr(self, name)(x)
        return x

    def freeze(self, num_stages: int) -> None:
        """Stop the first stages from learning: no gradients, and no new norm statistics in any later `train`.

        Args:
            num_stages: How many; 0 frees all.

        Raises:
            ValueError: If there are not as many.
        """
        if not 0 <= num_stages <= len(self._stage_names):
            raise ValueError(f"num_stages must lie in 0..{len(self._stage_names)}, found {num_stages}")
        self._frozen = num_stages
        for i, stage in enumerate(self._stages()):
            stage.requires_grad_(i >= num_stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        for stage in self._stages()[: self._frozen]:
            stage.eval()
        return self

    def _stages(self) -> Sequence[Stage]:
        return [getattr(self, name) for name in self._stage_names]


def _wanted(spec: BackboneSpec, out_features: Sequence[str] | None) -> dict[str, FeatureInfo]:
    if isinstance(out_features, str):
        raise UserError(f"out_features: expected a list of stages, found '{out_features}'. Try: ['{out_features}']")
    wanted = list(spec.stages) if out_features is None else list(out_features)
    for name in wanted:
        if name not in spec.stages:
            raise UserError(
                f"backbone {spec.name} has no stage '{name}'.{did_you_mean(name, spec.stages)} "
                f"out_features may name: {', '.join(spec.stages)}."
            )
    if not wanted:
        raise UserError(f"out_features is empty. It may name: {', '.join(spec.stages)}.")
    return {name: info for name, info in spec.feature_info.items() if name in wanted}
