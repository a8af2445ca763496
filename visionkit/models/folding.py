"""Folding batch norms into convolutions, for inference."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fold_norms"]

Model = TypeVar("Model", bound=nn.Module)


def fold_norms(model: Model) -> Model:
    """Fold each batch norm into the convolution directly before it (Jacob et al. 2018, arXiv:1712.05877, section 3.2).

    In evaluation mode a batch norm is a factor and an offset per channel, which weights and biases can take up.
    Outputs are equal up to rounding, with one pass less over each map. The model is changed in place: afterwards it
    is in evaluation mode, has other state-dict keys, and must not be trained.

    Args:
        model: Any module; only neighbours in an ``nn.Sequential`` that are not shared with other modules are folded.

    Returns:
        The same model.
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
