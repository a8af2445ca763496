"""Batch norms folded into convolutions, for models that only predict."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fold_norms"]

Model = TypeVar("Model", bound=nn.Module)


def fold_norms(model: Model) -> Model:
    """Let each convolution do the work of the batch norm right behind it (Jacob et al. 2018, arXiv:1712.05877, 3.2).

    In evaluation a batch norm multiplies and adds a number per channel, as a convolution's weights and biases can.
    Outputs stay the same up to rounding, and a pass over each map is saved. The model is changed in place: it is in
    evaluation mode, has other state-dict keys, and is not to be trained any more.

    Args:
        model: Any module; only neighbours in an ``nn.Sequential`` that are used nowhere else are folded.

    Returns:
        The model.
    """
    model.eval()
    uses = Counter(module for _, module in model.named_modules(remove_duplicate=False))
    for sequence in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        for (name, conv), (norm_name, norm) in pairwise(list(sequence.named_children())):
            if type(conv) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d or not norm.track_running_stats:
                continue
            if uses[conv] == uses[norm] == 1:
                setattr(sequence, name, fuse_conv_bn_eval(conv, norm))
                setattr(sequence, norm_name, nn.Identity())
    return model
