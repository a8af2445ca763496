"""Judging a model on one split: the same way after training and by ``evaluate``."""

import signal
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from visionkit.errors import UserError, did_you_mean
from visionkit.metrics.table import Table
from visionkit.tasks.base import VisionTask
from visionkit.training.processes import Processes
from visionkit.training.settings import Debug, Hardware
from visionkit.training.trainer import make_trainer, quiet

__all__ = ["Evaluation", "evaluate_split", "predict_some"]

PICTURES = 32


@dataclass(frozen=True)
class Evaluation:
    """What one split says about a model.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        numbers: ``<split>/<name>`` to a number.
        tables: Such as ``per_class`` and ``confusion_matrix``.
    """

    split: str
    numbers: dict[str, float]
    tables: dict[str, Table]


def evaluate_split(
    task: VisionTask,
    datamodule: Any,
    *,
    split: str,
    hardware: Hardware,
    accelerator: str,
    debug: Debug,
    processes: Processes | None = None,
) -> Evaluation:
    """Run a model over a split.

    Args:
        task: The model and its metrics.
        datamodule: A `VisionDataModule` after ``setup``.
        split: ``train`` (without augmentation), ``val`` or ``test``.
        hardware: Precision.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        debug: Limits.
        processes: Those that share the split; None where this one has it all.

    Raises:
        UserError: If there is no such split; the message lists those there are.
    """
    known = list(datamodule.sizes)
    if split not in known:
        raise UserError(
            f"split: found '{split}', but data set '{datamodule.info.name}' has no such split. "
            f"Expected one of: {', '.join(known)}.{did_you_mean(split, known)} Try: split=val"
        )
    with quiet():
        trainer = make_trainer(hardware=hardware, accelerator=accelerator, debug=debug, processes=processes)
        datamodule.trainer = trainer
        _test(trainer, task, datamodule.loader(split))
    numbers = {
        name.replace("test/", f"{split}/", 1): value for name, value in task.numbers.items() if name.startswith("test/")
    }
    return Evaluation(split, numbers, task.tables.get("test", {}))


def _test(trainer: Any, task: VisionTask, loader: Any) -> None:
    """As ``trainer.test``, but Ctrl-C stays what it is: Lightning would make an exit of it, and deafen the process."""
    before = signal.getsignal(signal.SIGINT)
    try:
        trainer.test(task, dataloaders=loader, verbose=False)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt from None
        raise


@torch.inference_mode()
def predict_some(model: Any, source: Any, datamodule: Any, *, split: str = "val") -> dict[str, Tensor]:
    """Predictions on images spread evenly over a split, for looking at.

    Args:
        model: A `VisionModel` on any device.
        source: Whose deterministic preprocessing is used.
        datamodule: A `VisionDataModule` after ``setup``.
        split: Which.

    Returns:
        ``images`` (N, C, H, W) uint8, ``label``, ``predicted`` (N,) int64 and ``scores`` (N,) in 0..1, on the CPU;
        images that cannot be read are left out, and the dict is empty where none can.
    """
    samples, preprocess = datamodule.samples(split), source.preprocess()
    positions = torch.linspace(0, len(samples) - 1, min(PICTURES, len(samples))).round().long().tolist()
    images: list[Tensor] = []
    labels: list[int] = []
    for position in positions:
        try:
            images.append(preprocess(samples.image(position)))
        except UserError:  # an unreadable file, counted and named by the datamodule
            continue
        labels.append(int(samples.labels[position]))
    if not images:
        return {}
    batch = torch.stack(images)
    device = next(model.parameters()).device
    predictions = model.eval().predict(model(batch.to(device)))
    return {
        "images": batch,
        "label": torch.tensor(labels),
        "predicted": predictions["labels"].cpu(),
        "scores": predictions["scores"].float().cpu(),
    }
