"""The LightningModule under every task: one step function for all stages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from visionkit.distributed.comm import broadcast_buffers, broadcast_object, rank, world_size
from visionkit.distributed.sync_batch_norm import without_statistics
from visionkit.metrics.table import Table
from visionkit.tasks.loss_meter import LossMeter

__all__ = ["Metrics", "VisionTask", "images_that_count"]

STAGES = ("train", "val", "test")
OptimizerFn = Callable[[nn.Module], torch.optim.Optimizer]
ScheduleFn = Callable[[int, int], float]


class Metrics(Protocol):
    """What a task asks of its metrics."""

    def gather(self) -> None: ...
    def scalars(self) -> dict[str, Tensor]: ...
    def tables(self) -> dict[str, Table]: ...
    def reset(self) -> None: ...


class VisionTask(pl.LightningModule, ABC):
    """Trains and judges a `VisionModel`. A task adds `configure_metrics` and `update_metrics`.

    Nothing is logged and nothing waits for the device within an epoch: losses and predictions are kept
    on the device and become ``train/...``, ``val/...`` and ``test/...`` when the split has ended, over the
    images of all processes, each counted once.

    Args:
        model: Images (B, C, H, W) uint8 to a dict of outputs; ``loss`` and ``predict`` as the design says.
        class_names: The classes, in the order of their ids.
        optimizer_fn: Makes the optimizer from the model; None where nothing is trained.
        schedule_fn: (step, all steps) to a share of the highest learning rate.
        hyper_parameters: Plain values that go into each checkpoint.
    """

    def __init__(
        self,
        model: Any,
        *,
        class_names: tuple[str, ...],
        optimizer_fn: OptimizerFn | None = None,
        schedule_fn: ScheduleFn | None = None,
        hyper_parameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_fn, self.schedule_fn = optimizer_fn, schedule_fn
        self.hyper_parameters = dict(hyper_parameters or {})
        self.metrics: dict[str, Any] = {stage: self.configure_metrics(class_names, stage) for stage in STAGES}
        self._metric_modules = nn.ModuleList(self.metrics.values())
        self.losses = {stage: LossMeter() for stage in STAGES}
        self.numbers: dict[str, float] = {}
        self.tables: dict[str, dict[str, Table]] = {}
        self._sharded = False

    @abstractmethod
    def configure_metrics(self, class_names: tuple[str, ...], stage: str) -> Any:
        """The metrics of a stage (``train``, ``val`` or ``test``): a module that is also `Metrics`."""

    @abstractmethod
    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Hand the outputs of a batch to the metrics of the stage."""

    def configure_model(self) -> None:
        """Where the Trainer shards models (``hardware.strategy=fsdp``), shard each stage, and then the rest."""
        mesh = self._device_mesh
        if mesh is None or self._sharded:
            return
        from torch.distributed.fsdp import fully_shard

        for module in [*self.model.backbone.children(), self.model]:
            if any(True for _ in module.parameters()):
                fully_shard(module, mesh=mesh["data_parallel"])
        self._sharded = True

    def _step(self, batch: dict[str, Tensor], stage: str) -> Tensor:
        outputs: dict[str, Tensor] = self.model(batch["images"], batch.get("image_sizes"))
        losses: dict[str, Tensor] = self.model.loss(outputs, batch)
        parts = list(losses.values())
        loss = parts[0] if len(parts) == 1 else torch.stack(parts).sum()
        if images_that_count(batch):
            self.losses[stage].update({**losses, "loss": loss}, len(batch["images"]))
            self.update_metrics(outputs, batch, stage)
        return loss

    def __setattr__(self, name: str, value: Any) -> None:
        """As `nn.Module`, whose long way is spared for the one word that Lightning sets some forty times per step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def transfer_batch_to_device(self, batch: dict[str, Tensor], device: torch.device, dataloader_idx: int) -> Any:
        """Move a flat dict of tensors; Lightning's way walks any collection and costs more than a small step."""
        return {name: value.to(device, non_blocking=True) for name, value in batch.items()}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of one training batch, a scalar.

        Among several processes it is weighted so that their mean is the mean over all samples of the global batch.
        """
        if images_that_count(batch):
            loss = self._step(batch, "train")
        else:
            with without_statistics(self.model):
                loss = self._step(batch, "train")
        return loss * batch["weight"] if "weight" in batch else loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Take one validation batch in."""
        self._step(batch, "val")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Take one test batch in."""
        self._step(batch, "test")

    def finish(self, stage: str) -> None:
        """Turn what a stage has kept into ``numbers`` (``<stage>/<name>``) and ``tables``, and start it anew."""
        losses, metrics = self.losses[stage], self.metrics[stage]
        if world_size() > 1:
            losses.gather()
            metrics.gather()
        numbers: dict[str, float] = {}
        if rank() == 0:
            scalars = {f"{stage}/{name}": value for name, value in {**losses.means(), **metrics.scalars()}.items()}
            if scalars:
                values = torch.stack([value.cpu().double() for value in scalars.values()]).tolist()
                numbers = dict(zip(scalars, values, strict=True))
                self.tables[stage] = metrics.tables()
        numbers = broadcast_object(numbers)  # what is decided by them, all decide alike
        if numbers:
            self.numbers |= numbers
            self.log_dict(numbers, batch_size=1)
        losses.reset()
        metrics.reset()

    def on_validation_start(self) -> None:
        """Judge one model: batch norm that is not synchronised has other running statistics in each process."""
        broadcast_buffers(self.model)

    def on_validation_epoch_end(self) -> None:
        """Validation closes an epoch of training, so both splits' numbers appear together."""
        self.finish("train")
        self.finish("val")

    def on_test_epoch_end(self) -> None:
        """Close the test split."""
        self.finish("test")

    def configure_optimizers(self) -> Any:
        """The optimizer; its learning rate is set in `optimizer_step`, from the number of the step alone."""
        if self.optimizer_fn is None:
            return None
        optimizer = self.optimizer_fn(self.model)
        self.base_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_train_start(self) -> None:
        """Learn how long the schedule is; asked earlier, Lightning would set the loaders up before it restores them."""
        self.total_steps = int(self.trainer.estimated_stepping_batches)
        if rank():  # the same dropout on the images of each process would be less of it
            torch.manual_seed(torch.initial_seed() + rank())

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """One optimizer step at the learning rate of the schedule."""
        if self.schedule_fn is not None:
            factor = self.schedule_fn(self.global_step, self.total_steps)
            for group, rate in zip(optimizer.param_groups, self.base_rates, strict=True):
                group["lr"] = rate * factor
        optimizer.step(closure=optimizer_closure)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the plain hyper-parameters in."""
        checkpoint["hyper_parameters"] = self.hyper_parameters


def images_that_count(batch: Mapping[str, Tensor]) -> int:
    """How many of a batch's images are samples; none where it only keeps a process in step with the others."""
    return len(batch["index"]) if "index" in batch else len(batch["images"])
