"""Batch norm with statistics over the images of all processes."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from visionkit.distributed.comm import world_size

__all__ = ["SyncBatchNorm", "convert_batch_norm", "count_unsupported_batch_norms"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SyncBatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` on CPUs that takes mean and variance over the images of all processes.

    torch's own layer of this name works on GPUs alone, and DDP refuses it elsewhere. This one has the parameters and
    buffers of batch norm, and is that where there is one process, or in evaluation. Processes may have different sizes
    of maps. Inputs are (B, C, ...) with any number of dimensions after the channels, also none.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        out, mean, variance, count = cast(
            tuple[Tensor, Tensor, Tensor, Tensor],
            _Normalize.apply(x, self.weight, self.bias, self.eps),
        )
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                num_batches = self.num_batches_tracked
                if num_batches is not None:
                    num_batches.add_(1)
                momentum = (
                    1 / float(num_batches)
                    if self.momentum is None and num_batches is not None
                    else self.momentum or 0.0
                )
                unbiased = variance * (count / (count - 1).clamp(min=1))
                for running, current in ((self.running_mean, mean), (self.running_var, unbiased)):
                    running.lerp_(current.to(running.dtype), momentum)
        return out

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch norm expects a (B, C, ...) map, found {input.ndim} dimension(s)")


class _Normalize(torch.autograd.Function):
    """The forward and backward pass of batch norm (Ioffe & Szegedy 2015, section 3), sums taken over all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dims = [dim for dim in range(x.ndim) if dim != 1]
        count = torch.tensor([x.numel() // x.shape[1]], dtype=torch.float64)  # sums as in torch's batch norm on the CPU
        # Two passes, mean first: E[x^2] - E[x]^2 in one pass cancels most significant digits.
        sums = torch.cat([x.sum(dims, dtype=torch.float64), count])
        distributed.all_reduce(sums)
        count = sums[-1]
        mean = sums[:-1] / count
        squares = (x - _broadcast_channels(mean, x)).square().sum(dims, dtype=torch.float64)
        distributed.all_reduce(squares)
        variance = squares / count
        float_dtype = torch.promote_types(x.dtype, torch.float32)
        out = F.batch_norm(x, mean.to(float_dtype), variance.to(float_dtype), weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        return out, mean, variance, count

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, mean, variance, count = ctx.saved_tensors
        dims = [dim for dim in range(x.ndim) if dim != 1]
        float_dtype = torch.promote_types(x.dtype, torch.float32)
        grad = grads[0].to(float_dtype)
        normalized = ((x - _broadcast_channels(mean, x)) * _broadcast_channels((variance + ctx.eps).rsqrt(), x)).to(
            float_dtype
        )
        grad_bias = grad.sum(dims, dtype=mean.dtype)
        grad_weight = (grad * normalized).sum(dims, dtype=mean.dtype)
        sums = torch.cat([grad_bias, grad_weight])
        distributed.all_reduce(sums)
        mean_grad, mean_product = (_broadcast_channels(part, x).to(float_dtype) for part in (sums / count).chunk(2))
        grad = grad - mean_grad - normalized * mean_product
        scale = ((variance + ctx.eps).rsqrt() * (1 if weight is None else weight)).to(float_dtype)
        grad_x = grad * _broadcast_channels(scale, x)
        # Gradients of weight and bias are local: DDP averages them over the processes.
        affine = (None, None) if weight is None else (grad_weight.to(weight.dtype), grad_bias.to(weight.dtype))
        return grad_x.to(x.dtype), *affine, None


def convert_batch_norm(model: nn.Module, *, on_gpu: bool = False) -> None:
    """Replace torch's batch norms inside a model by synchronised ones, in place; parameters and their names are kept.

    Args:
        model: The model.
        on_gpu: Whether it is trained on GPUs, by `torch.nn.SyncBatchNorm`, or on CPUs, by `SyncBatchNorm`.
    """
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) in _BATCH_NORMS:
                norm = cast(nn.BatchNorm2d, child)
                convert: Callable[[nn.BatchNorm2d], nn.Module] = (
                    nn.SyncBatchNorm.convert_sync_batchnorm if on_gpu else _convert
                )
                setattr(parent, name, convert(norm))


def count_unsupported_batch_norms(model: nn.Module) -> int:
    """The number of batch norms that `convert_batch_norm` does not replace: subclasses of torch's layers."""
    return sum(
        isinstance(module, _BATCH_NORMS) and type(module) not in (*_BATCH_NORMS, SyncBatchNorm)
        for module in model.modules()
    )


def _convert(norm: nn.BatchNorm2d) -> SyncBatchNorm:
    synced = SyncBatchNorm(
        norm.num_features, norm.eps, norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats
    )
    synced.weight, synced.bias = norm.weight, norm.bias
    synced.running_mean, synced.running_var = norm.running_mean, norm.running_var
    synced.num_batches_tracked = norm.num_batches_tracked
    return synced.train(norm.training)


def _broadcast_channels(values: Tensor, x: Tensor) -> Tensor:
    """Reshape (C,) to broadcast against (B, C, ...)."""
    return values.view(1, -1, *[1] * (x.ndim - 2))
