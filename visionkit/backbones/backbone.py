"""The backbone as a torch module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from visionkit.backbones.checkpointing import checkpointed
from visionkit.backbones.feature_info import FeatureInfo
from visionkit.backbones.spec import BackboneSpec
from visionkit.blocks import FeatureShape, build
from visionkit.errors import UserError, did_you_mean

__all__ = ["Backbone", "Stage"]


class Stage(Protocol):
    """The methods of a stage that freezing needs."""

    def requires_grad_(self, requires_grad: bool) -> Any:
        """Turn gradients of its parameters on or off."""

    def eval(self) -> Any:
        """Stop updating the running statistics of its norms."""


class Backbone(nn.Module):
    """Stages of blocks that turn images into feature maps, fine to coarse.

    ``feature_info`` declares each map before any forward pass; for a (2, 3, 224, 224) batch a
    ResNet-50 gives ``{"stem": (2, 64, 112, 112), "layer1": (2, 256, 56, 56), "layer2":
    (2, 512, 28, 28), "layer3": (2, 1024, 14, 14), "layer4": (2, 2048, 7, 7)}``.

    Each stage is a child module under its own name. With ``gradient_checkpointing``, an attribute, what is computed
    within a stage is computed again for the backward pass rather than kept.

    Attributes:
        num_frozen_stages: How many of the first stages are frozen.

    Args:
        spec: The specification of the backbone.
        out_features: The stages whose maps `forward` returns; all by default. Stages after the last
            of them are not built.

    Raises:
        UserError: If ``out_features`` names a stage that does not exist.
    """

    feature_info: dict[str, FeatureInfo]

    def __init__(self, spec: BackboneSpec, out_features: Sequence[str] | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.feature_info = _select_features(spec, out_features)
        names = list(spec.stages)
        self._stage_names = names[: names.index(list(self.feature_info)[-1]) + 1]
        self.num_frozen_stages = 0
        self.gradient_checkpointing = False
        self._build_layers()

    def _build_layers(self) -> None:
        shape = FeatureShape.image(self.spec.in_channels, 32_768)
        for name in self._stage_names:
            module, shape = build(self.spec.stages[name], shape)
            self.add_module(name, module)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the feature maps of normalised images.

        Args:
            images: (B, C, H, W) floating point.

        Returns:
            Stage names to maps (B, channels, ~H / stride, ~W / stride), fine to coarse.
        """
        features = {}
        x = images
        for name in self._stage_names:
            x = self._run_stage(name, x)
            if name in self.feature_info:
                features[name] = x
        return features

    def forward_features(self, images: Tensor) -> Tensor:
        """Only the last map: (B, C, H, W) floating point to (B, channels, ~H / stride, ~W / stride)."""
        x = images
        for name in self._stage_names:
            x = self._run_stage(name, x)
        return x

    def _run_stage(self, name: str, x: Tensor) -> Tensor:
        stage = getattr(self, name)
        if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
            return checkpointed(stage, x)
        return stage(x)  # type: ignore[no-any-return]

    def freeze(self, num_stages: int) -> None:
        """Freeze the first stages: no gradients, and their norms stay in evaluation mode.

        Args:
            num_stages: How many stages; 0 unfreezes all.

        Raises:
            ValueError: If there are fewer stages.
        """
        if not 0 <= num_stages <= len(self._stage_names):
            raise ValueError(f"num_stages must lie in 0..{len(self._stage_names)}, found {num_stages}")
        self.num_frozen_stages = num_stages
        for i, stage in enumerate(self._stages()):
            stage.requires_grad_(i >= num_stages)
        self.train(self.training)

    def stage_parameters(self) -> dict[str, list[nn.Parameter]]:
        """The names of the stages to their parameters, from the image on."""
        return {name: list(getattr(self, name).parameters()) for name in self._stage_names}

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        for stage in self._stages()[: self.num_frozen_stages]:
            stage.eval()
        return self

    def _stages(self) -> Sequence[Stage]:
        return [getattr(self, name) for name in self._stage_names]


def _select_features(spec: BackboneSpec, out_features: Sequence[str] | None) -> dict[str, FeatureInfo]:
    if isinstance(out_features, str):
        raise UserError(f"out_features: expected a list of stages, found '{out_features}'. Try: ['{out_features}']")
    requested = list(spec.stages) if out_features is None else list(out_features)
    for name in requested:
        if name not in spec.stages:
            raise UserError(
                f"backbone {spec.name} has no stage '{name}'.{did_you_mean(name, spec.stages)} "
                f"out_features may name: {', '.join(spec.stages)}."
            )
    if not requested:
        raise UserError(f"out_features is empty. It may name: {', '.join(spec.stages)}.")
    return {name: info for name, info in spec.feature_info.items() if name in requested}
