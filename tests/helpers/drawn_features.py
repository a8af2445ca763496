"""A stand-in for a backbone: random feature maps of the declared shapes, at no cost.

That each backbone's own maps have the declared shapes is tested with the backbones.
"""

import torch
from torch import nn


class DrawnFeatures(nn.Module):
    """Takes a backbone's specification and stages, as `visionkit.backbones.build.build_backbone` does."""

    def __init__(self, spec, out_features=None):
        super().__init__()
        self.spec = spec
        self.out_features = list(out_features or spec.feature_info)

    def forward(self, images):
        shapes = self.spec.feature_shapes(tuple(images.shape[-2:]))
        return {
            name: torch.randn(len(images), *shapes[name].chw, device=images.device).requires_grad_()
            for name in self.out_features
        }
