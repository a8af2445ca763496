"""Lightning's Trainer, silent and writing to the run folder alone."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from visionkit.distributed.processes import Processes
from visionkit.runs.folder import RunFolder
from visionkit.settings import Debug, Hardware, Recipe
from visionkit.tasks.info import TaskInfo
from visionkit.training.callbacks.early_stopping import ResumableEarlyStopping
from visionkit.training.checkpoint_io import SafeCheckpointIO

__all__ = ["PRECISIONS", "make_trainer", "quiet", "seed"]

PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}

# The toolkit displays progress, logs and chooses the number of workers itself.
IGNORED_WARNINGS = (
    r".*does not have many workers.*",
    r".*The number of training batches.*",
    r".*You are trying to `self.log\(\)`.*",
    r".*in eval mode at the start.*",
    r".*dataloader is not resumable.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*Checkpoint directory.*",
    r".*You have overridden `transfer_batch_to_device`.*",
    r".*GPU available but not used.*",
    r".*recommended to use `self.log\(.*sync_dist=True.*",
    r".*Using `DistributedSampler` with the dataloaders.*",
    r".*different number of batches.*",
    r".*have no `val_dataloader`.*",  # finders do not validate
    r".*This DataLoader will create.*",
    r".*`broadcast_buffers` is deprecated.*",
    r".*callbacks used to create the checkpoint need to be provided.*",
    r".*`lr_scheduler.step\(\)` before `optimizer.step\(\)`.*",  # with 16 bits a step may be left out
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A context that silences Lightning's messages and the warnings that do not concern a user of this toolkit."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in IGNORED_WARNINGS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def raising_interrupts() -> Iterator[None]:
    """A context in which KeyboardInterrupt stays what it is; Lightning turns it into SystemExit."""
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def seed(value: int) -> None:
    """Seed Python, NumPy and torch, in this process and in the workers of data loaders."""
    pl.seed_everything(value, workers=True, verbose=False)


def make_trainer(
    *,
    hardware: Hardware,
    accelerator: str,
    debug: Debug,
    processes: Processes | None = None,
    recipe: Recipe | None = None,
    folder: RunFolder | None = None,
    info: TaskInfo | None = None,
    callbacks: Sequence[pl.Callback] = (),
    loggers: Any = False,
) -> pl.Trainer:
    """Build the Trainer.

    Args:
        hardware: Precision and strategy.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        debug: Limits of batches.
        processes: The processes of the run; None for a single one.
        recipe: Epochs, accumulation, clipping and early stopping; None for evaluation.
        folder: The run folder; None to write nothing.
        info: The metric monitored by early stopping.
        callbacks: The run's callbacks.
        loggers: Lightning's, or False for none.
    """
    all_callbacks = list(callbacks)
    training: dict[str, Any] = {"max_epochs": 0}
    if recipe is not None:
        training = {
            "max_epochs": recipe.epochs,
            "accumulate_grad_batches": recipe.accumulate,
            "gradient_clip_val": recipe.clip_norm,
        }
        if recipe.early_stopping is not None and info is not None:
            patience = recipe.early_stopping.patience
            all_callbacks.append(
                ResumableEarlyStopping(info.monitor, mode=info.mode, patience=patience, min_delta=0.0, strict=False)
            )
    return pl.Trainer(
        accelerator=accelerator,
        **_strategy_arguments(processes, sharded=recipe is not None and hardware.strategy == "fsdp"),
        precision=PRECISIONS[hardware.precision],
        callbacks=all_callbacks,
        logger=loggers,
        default_root_dir=str(folder.path) if folder is not None else None,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in all_callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_train_batches=debug.limit_batches,
        limit_val_batches=debug.limit_batches,
        limit_test_batches=debug.limit_batches,
        benchmark=accelerator == "cuda",
        profiler=_NoProfiler(),
        **training,
    )


class _NoProfiler(PassThroughProfiler):
    """Lightning's own makes a context from a generator some 50 times a step, which takes 60 microseconds."""

    def profile(self, action_name: str) -> Any:
        """A context that does nothing."""
        return _NO_CONTEXT


_NO_CONTEXT: contextlib.nullcontext[None] = contextlib.nullcontext()


def _strategy_arguments(processes: Processes | None, *, sharded: bool) -> dict[str, Any]:
    if processes is None or processes.count == 1:
        # Keeps a cluster's environment variables from turning a single process into a member of a group.
        return {"devices": 1, "plugins": [LightningEnvironment(), SafeCheckpointIO()]}
    return {
        "devices": processes.per_node,
        "num_nodes": processes.num_nodes,
        # DDP need not broadcast buffers in each step: the task does it before each validation.
        "strategy": ModelParallelStrategy(
            data_parallel_size=processes.count, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
        if sharded
        else DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True),
        "plugins": [TorchElasticEnvironment(), SafeCheckpointIO()],
    }
