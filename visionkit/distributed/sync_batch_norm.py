"""Batch norm whose batch is that of all processes together."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from visionkit.distributed.comm import world_size

__all__ = ["SyncBatchNorm", "convert_batch_norm", "count_foreign_batch_norms", "without_statistics"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SyncBatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` that takes mean and variance over the images of all processes.

    torch's own layer of this name works on GPUs alone; this one works wherever its group does. It has the parameters
    and buffers of batch norm, and is that where there is one process, or in evaluation. Processes may have different
    numbers of images, and (B, C, ...) maps may have any number of dimensions behind the channels, none too.

    Attributes:
        counts: Whether the images of this process are samples; see `without_statistics`.
    """

    counts = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        out, mean, variance, count = cast(
            tuple[Tensor, Tensor, Tensor, Tensor], _Normalize.apply(x, self.weight, self.bias, self.eps, self.counts)
        )
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                seen = self.num_batches_tracked
                if seen is not None:
                    seen.add_(1)
                share = 1 / float(seen) if self.momentum is None and seen is not None else self.momentum or 0.0
                unbiased = variance * (count / (count - 1).clamp(min=1))
                for kept, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                    # Where no process has a sample, there is nothing to learn from.
                    kept.lerp_(new.to(kept.dtype), share * (count > 0).to(kept.dtype))
        return out

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch norm expects a (B, C, ...) map, found {input.ndim} dimension(s)")


class _Normalize(torch.autograd.Function):
    """The forward and backward pass of batch norm (Ioffe & Szegedy 2015, section 3), sums taken over all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, counts: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        exact = _exact(x)
        samples = x if counts else x[:0]
        count = torch.tensor([samples.numel() // max(x.shape[1], 1)], dtype=exact, device=x.device)
        # Two rounds, mean first: the variance as a difference of large sums would lose its digits.
        sums = torch.cat([samples.sum(axes, dtype=exact), count])
        distributed.all_reduce(sums)
        count = sums[-1]
        mean = sums[:-1] / count.clamp(min=1)
        squares = (samples - _wide(mean, x)).square().sum(axes, dtype=exact)
        distributed.all_reduce(squares)
        variance = squares / count.clamp(min=1)
        plain = torch.promote_types(x.dtype, torch.float32)
        out = F.batch_norm(x, mean.to(plain), variance.to(plain), weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.counts = eps, counts
        ctx.mark_non_differentiable(mean, variance, count)
        return out, mean, variance, count

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, mean, variance, count = ctx.saved_tensors
        axes = [axis for axis in range(x.ndim) if axis != 1]
        plain = torch.promote_types(x.dtype, torch.float32)
        grad = grads[0].to(plain)
        normalized = ((x - _wide(mean, x)) * _wide((variance + ctx.eps).rsqrt(), x)).to(plain)
        grad_bias = grad.sum(axes, dtype=mean.dtype)
        grad_weight = (grad * normalized).sum(axes, dtype=mean.dtype)
        sums = torch.cat([grad_bias, grad_weight])
        distributed.all_reduce(sums)
        if ctx.counts:
            mean_grad, mean_product = (_wide(part, x).to(plain) for part in (sums / count).chunk(2))
            grad = grad - mean_grad - normalized * mean_product
        scale = ((variance + ctx.eps).rsqrt() * (1 if weight is None else weight)).to(plain)
        grad_x = grad * _wide(scale, x)
        # The parameters' gradients stay this process's own: they are averaged with all others.
        affine = (None, None) if weight is None else (grad_weight.to(weight.dtype), grad_bias.to(weight.dtype))
        return grad_x.to(x.dtype), *affine, None, None


def convert_batch_norm(model: nn.Module) -> None:
    """Replace torch's own batch norms inside a model by `SyncBatchNorm`; parameters and their names stay."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) in _BATCH_NORMS:
                setattr(parent, name, _converted(cast(nn.BatchNorm2d, child)))


@contextlib.contextmanager
def without_statistics(model: nn.Module) -> Iterator[None]:
    """Within, what passes through a model leaves no trace in its batch norms.

    A process takes part in a step so, where it has no sample: `SyncBatchNorm` normalises by what the others have seen,
    and any other batch norm by its running statistics. The loss must weigh nothing.
    """
    norms = [module for module in model.modules() if isinstance(module, _BATCH_NORMS) and module.training]
    synced = [norm for norm in norms if isinstance(norm, SyncBatchNorm)]
    local = [norm for norm in norms if not isinstance(norm, SyncBatchNorm)]
    for norm in synced:
        norm.counts = False
    for other in local:
        other.training = False
    try:
        yield
    finally:
        for norm in synced:
            norm.counts = True
        for other in local:
            other.training = True


def count_foreign_batch_norms(model: nn.Module) -> int:
    """How many batch norms of a model `convert_batch_norm` leaves alone, because somebody else has made them."""
    return sum(
        isinstance(module, _BATCH_NORMS) and type(module) not in (*_BATCH_NORMS, SyncBatchNorm)
        for module in model.modules()
    )


def _converted(norm: nn.BatchNorm2d) -> SyncBatchNorm:
    new = SyncBatchNorm(
        norm.num_features, norm.eps, norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats
    )
    new.weight, new.bias = norm.weight, norm.bias
    new.running_mean, new.running_var = norm.running_mean, norm.running_var
    new.num_batches_tracked = norm.num_batches_tracked
    return new.train(norm.training)


def _exact(x: Tensor) -> torch.dtype:
    """What sums are taken in: twice the digits on the CPU, as torch's batch norm does there."""
    return torch.float64 if x.device.type == "cpu" else torch.promote_types(x.dtype, torch.float32)


def _wide(values: Tensor, x: Tensor) -> Tensor:
    """(C,) as it stands against (B, C, ...)."""
    return values.view(1, -1, *[1] * (x.ndim - 2))
