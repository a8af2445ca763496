"""A LightningModule whose own work per step is small: it matters where a step takes a millisecond."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

__all__ = ["LeanModule"]


class LeanModule(pl.LightningModule):
    """Behaves as its base; batches are flat dicts of tensors."""

    def __setattr__(self, name: str, value: Any) -> None:
        """As `nn.Module`, but for a word that Lightning sets some forty times per step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def transfer_batch_to_device(self, batch: dict[str, Tensor], device: torch.device, dataloader_idx: int) -> Any:
        """Move a flat dict of tensors; Lightning's way walks any collection and costs more than a small step."""
        return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
