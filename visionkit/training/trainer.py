"""Lightning's Trainer, told to be quiet and to write nowhere but into the run folder."""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from visionkit.distributed.processes import Processes
from visionkit.runs.folder import RunFolder
from visionkit.settings import Debug, Hardware, Logger, Recipe
from visionkit.tasks.info import TaskInfo

__all__ = ["PRECISIONS", "SafeCheckpointIO", "make_trainer", "quiet", "seed"]

PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}

# The toolkit has its own progress, its own log, and chooses the number of workers itself.
IRRELEVANT = (
    r".*does not have many workers.*",
    r".*The number of training batches.*",
    r".*You are trying to `self.log\(\)`.*",
    r".*modules in eval mode.*",
    r".*dataloader is not resumable.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*Checkpoint directory.*",
    r".*You have overridden `transfer_batch_to_device`.*",
    r".*GPU available but not used.*",
    r".*recommended to use `self.log\(.*sync_dist=True.*",
    r".*Using `DistributedSampler` with the dataloaders.*",
    r".*different number of batches.*",
    r".*`broadcast_buffers` is deprecated.*",
)


class SafeCheckpointIO(TorchCheckpointIO):
    """Reads checkpoints as data alone: a file that holds code is refused."""

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """As `torch.load` with ``weights_only=True``, whatever was asked for."""
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return checkpoint


class FetchTimer(PassThroughProfiler):
    """Times the fetching of training batches and nothing else.

    Lightning enters ``profile`` some forty times per step, and its own makes a generator each time.

    Attributes:
        seconds: Spent so far waiting for training batches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._began = 0.0
        self._nothing = contextlib.nullcontext()

    def profile(self, action_name: str) -> Any:
        """A context that does nothing."""
        return self._nothing

    def start(self, action_name: str) -> None:
        """A batch is asked for."""
        self._began = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """It is there."""
        if action_name.endswith("train_dataloader_next"):
            self.seconds += time.perf_counter() - self._began


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hush Lightning's announcements and the warnings that do not concern a user of this toolkit."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in IRRELEVANT:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def seed(number: int) -> None:
    """Seed Python, NumPy and torch, here and in the loaders' workers."""
    pl.seed_everything(number, workers=True, verbose=False)


def make_trainer(
    *,
    hardware: Hardware,
    accelerator: str,
    debug: Debug,
    processes: Processes | None = None,
    recipe: Recipe | None = None,
    folder: RunFolder | None = None,
    logger: Logger | None = None,
    info: TaskInfo | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """Build the Trainer.

    Args:
        hardware: Precision.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        debug: Limits.
        processes: Those this one is one of; None where it is alone.
        recipe: None where nothing is trained.
        folder: The run; None where nothing is written.
        logger: None for none.
        info: The number that early stopping looks at.
        callbacks: Those of the run.
    """
    every = list(callbacks)
    training: dict[str, Any] = {"max_epochs": 0}
    if recipe is not None:
        training = {
            "max_epochs": debug.epochs or recipe.epochs,
            "accumulate_grad_batches": recipe.accumulate,
            "gradient_clip_val": recipe.clip_norm,
        }
        if recipe.early_stopping is not None and info is not None:
            patience = recipe.early_stopping.patience
            every.append(EarlyStopping(info.monitor, mode=info.mode, patience=patience, min_delta=0.0, strict=False))
    return pl.Trainer(
        accelerator=accelerator,
        **_spread(processes, sharded=recipe is not None and hardware.strategy == "fsdp"),
        precision=PRECISIONS[hardware.precision],
        callbacks=every,
        logger=_make_logger(logger, folder),
        default_root_dir=str(folder.path) if folder is not None else None,
        enable_checkpointing=recipe is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_train_batches=debug.limit_batches,
        limit_val_batches=debug.limit_batches,
        limit_test_batches=debug.limit_batches,
        profiler=FetchTimer(),
        benchmark=accelerator == "cuda",
        **training,
    )


def _spread(processes: Processes | None, *, sharded: bool) -> dict[str, Any]:
    if processes is None or processes.count == 1:
        # A variable of some cluster in the environment must not turn a single process into a part of a group.
        return {"devices": 1, "plugins": [LightningEnvironment(), SafeCheckpointIO()]}
    return {
        "devices": processes.per_node,
        "num_nodes": processes.num_nodes,
        # The task shares the buffers when a model is judged; in between, nobody reads another process's.
        "strategy": ModelParallelStrategy(
            data_parallel_size=processes.count, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
        if sharded
        else DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True),
        "plugins": [TorchElasticEnvironment(), SafeCheckpointIO()],
    }


def _make_logger(logger: Logger | None, folder: RunFolder | None) -> Any:
    if logger is None or folder is None or logger.type == "none":
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(save_dir=str(folder.path), name="tensorboard", version="")
