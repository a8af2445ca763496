"""Checkpoints on the disk: whole or not there, and never code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from visionkit.backbones.weights.load import load_tensors
from visionkit.files import open_atomic

__all__ = ["SafeCheckpointIO", "tensor_bytes"]


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target and moves it there; loads without running code."""

    def __init__(self) -> None:
        super().__init__()
        self._read: tuple[Path, dict[str, Any]] | None = None

    def provide(self, path: Path, content: dict[str, Any]) -> None:
        """Give what has been read of a file and checked, for the next `load_checkpoint` of it alone."""
        self._read = (path, content)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint that is whole even if the process is killed or the power fails.

        Lightning's way is through the folder of temporary files, from where a file is copied to another disk.

        Raises:
            UserError: If there is not room enough.
            OSError: If the file cannot be written.
        """
        with open_atomic(Path(path), num_bytes=tensor_bytes(checkpoint), flush=True) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's archive complains of its own end where a write has failed
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """As `torch.load` with ``weights_only=True``, whatever the argument: a file that holds code is refused."""
        provided, self._read = self._read, None
        if provided is not None and provided[0] == Path(path):
            return provided[1]
        checkpoint: dict[str, Any] = load_tensors(path, map_location)
        return checkpoint


def tensor_bytes(value: Any) -> int:
    """The memory of all tensors within nested mappings and lists, in bytes."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(tensor_bytes, value.values()))
    return sum(map(tensor_bytes, value)) if isinstance(value, (list, tuple)) else 0
