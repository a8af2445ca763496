"""The first layer of every model: normalises images of 0..255."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["Normalize"]


class Normalize(nn.Module):
    """``(images / 255 - mean) / std``, and zeros outside each image's own size.

    Args:
        mean: Per channel, on the scale 0..1.
        std: Per channel, on the scale 0..1.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or any(s <= 0 for s in std):
            raise ValueError(f"mean and std need one number per channel each, std above 0; found {mean} and {std}")
        self._scale = [[[1.0 / (255.0 * s)]] for s in std]
        self._shift = [[[-m / s]] for m, s in zip(mean, std, strict=True)]
        self.register_buffer("scale", torch.tensor(self._scale), persistent=False)
        self.register_buffer("shift", torch.tensor(self._shift), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Normalize:
        """Recompute scale and shift when the dtype changes, so that those of ``model.double()`` are not rounded."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if not self.scale.is_meta:
            self.scale = torch.tensor(self._scale, dtype=self.scale.dtype, device=self.scale.device)
            self.shift = torch.tensor(self._shift, dtype=self.shift.dtype, device=self.shift.device)
        return self

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> Tensor:
        """Normalise a batch.

        Args:
            images: (B, C, H, W) uint8, or float32 in 0..255 from sources of more than 8 bits.
            image_sizes: (B, 2) int64 height and width of each image without padding; None where no image is padded.

        Returns:
            (B, C, H, W) in the model's floating dtype.

        Raises:
            TypeError: If the images are neither uint8 nor float32.
        """
        if images.dtype not in (torch.uint8, torch.float32):
            raise TypeError(
                f"images must be uint8 or float32 in 0..255, found {images.dtype}. Numbers that are already normalised "
                "go to model.backbone, or convert: (images * 255).round().to(torch.uint8)."
            )
        x = torch.addcmul(self.shift, images.to(self.scale.dtype), self.scale)
        if image_sizes is None:
            return x
        height, width = x.shape[-2:]
        rows = torch.arange(height, device=x.device) < image_sizes[:, :1]  # (B, H)
        columns = torch.arange(width, device=x.device) < image_sizes[:, 1:]  # (B, W)
        return x * (rows[:, None, :, None] & columns[:, None, None, :])

    def extra_repr(self) -> str:
        return f"channels={self.scale.shape[0]}"
