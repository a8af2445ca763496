"""The base LightningModule of all tasks: one step for training and one for evaluation."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from visionkit.backbones.weights.finite import non_finite_tensors
from visionkit.data.loader import BatchLoader
from visionkit.data.sample_seeds import mix_seed
from visionkit.distributed.comm import broadcast_buffers, broadcast_object, rank, world_size
from visionkit.errors import UserError
from visionkit.metrics.base import TaskMetrics
from visionkit.metrics.table import Table
from visionkit.tasks.distillation import Distillation
from visionkit.tasks.loss_meter import LossMeter
from visionkit.tasks.loss_totals import LossTotals

__all__ = ["VisionTask"]

OptimizerFn = Callable[[nn.Module], torch.optim.Optimizer]
ScheduleFn = Callable[[int, int], float]


class VisionTask(pl.LightningModule, ABC):
    """Trains and evaluates a `VisionModel`. A task adds `update_metrics`; `visionkit.tasks.build.build_task` builds it.

    Within an epoch nothing is logged and nothing synchronises with the device: losses and predictions stay on the
    device and become ``train/...``, ``val/...`` and ``test/...`` at the end of the split, over the images of all
    processes, each counted once.

    Args:
        model: A `visionkit.models.VisionModel`: images (B, C, H, W) uint8 to a dict of outputs, ``loss``,
            ``loss_sums``, ``predict``.
        metrics: Those of ``train``, ``val`` and ``test``.
        optimizer_fn: Makes the optimizer of the model; None for evaluation.
        schedule_fn: (step, total steps) to a factor of the base learning rate.
        hyper_parameters: Plain values stored in each checkpoint.
        data: The facts about the data, stored there too.
        seed: That of what the model draws in training.
        distillation: What is learnt of a teacher; None without one.

    Attributes:
        scalars: ``<stage>/<name>`` to the newest value of each loss and metric.
        tables: The newest tables of each stage.
        initial: What is not finite in the model that is to be trained, and may stay so.
        rate_scale: What the schedule's factor is multiplied by, set before training begins.
    """

    def __init__(
        self,
        model: Any,
        *,
        metrics: Mapping[str, TaskMetrics],
        optimizer_fn: OptimizerFn | None = None,
        schedule_fn: ScheduleFn | None = None,
        hyper_parameters: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        seed: int = 0,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_fn, self.schedule_fn = optimizer_fn, schedule_fn
        self.hyper_parameters = dict(hyper_parameters or {})
        self.data = data
        self.initial = {} if optimizer_fn is None else non_finite_tensors(model.state_dict())
        self.metrics: dict[str, Any] = dict(metrics)
        self._metric_modules = nn.ModuleList(self.metrics.values())
        self.losses: dict[str, Any] = {stage: LossMeter() if stage == "train" else LossTotals() for stage in metrics}
        self.scalars: dict[str, float] = {}
        self.tables: dict[str, dict[str, Table]] = {}
        self.seed = seed
        self._epoch_so_far: dict[str, Any] = {}
        self._sharded = False
        self._schedule: LambdaLR | None = None
        self._total_steps = 0
        self._rates = [0.0]
        self.rate_scale, self.distillation = 1.0, distillation

    @abstractmethod
    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update the metrics of the stage with the outputs of a batch."""

    def configure_model(self) -> None:
        """Under FSDP (``hardware.strategy=fsdp``) shard each child of the backbone, then the rest of the model."""
        mesh = self._device_mesh
        if mesh is None or self._sharded:
            return
        from torch.distributed.fsdp import fully_shard

        for module in [*self.model.backbone.children(), self.model]:
            if any(True for _ in module.parameters()):
                fully_shard(module, mesh=mesh["data_parallel"])
        self._sharded = True

    def _evaluate(self, batch: dict[str, Tensor], stage: str) -> None:
        outputs: dict[str, Tensor] = self.model(batch["images"], batch.get("image_sizes"))
        self.losses[stage].update(self.model.loss_sums(outputs, batch))
        self.update_metrics(outputs, batch, stage)

    def transfer_batch_to_device(self, batch: dict[str, Tensor], device: torch.device, dataloader_idx: int) -> Any:
        """Move a flat dict of tensors; Lightning's own version walks any collection, slower than a small net's step."""
        return {name: value.to(device, non_blocking=True) for name, value in batch.items()}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of one training batch, a scalar; processes have batches of one size, and average its gradients.

        What the model draws, as dropout does, depends on seed, epoch, batch and process alone: a run that goes on draws
        what it would have drawn.
        """
        torch.manual_seed(mix_seed(self.seed, self.current_epoch, batch_idx, rank()))
        outputs = self._training_outputs(batch)
        losses: dict[str, Tensor] = self.model.loss(outputs, batch)
        if self.distillation is not None:
            losses = self.distillation.add(losses, outputs, batch)
        parts = list(losses.values())
        loss = parts[0] if len(parts) == 1 else torch.stack(parts).sum()
        self.losses["train"].update({**losses, "loss": loss}, len(batch["images"]))
        self.update_metrics(outputs, batch, "train")
        return loss

    def _training_outputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        try:
            return self.model(batch["images"], batch.get("image_sizes"))  # type: ignore[no-any-return]
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                "a batch norm has one value per channel, of which there is no variance: its map is 1x1, and there is "
                f"{len(batch['images'])} image in the batch. Expected two at least, or larger images. Try: "
                f"recipe.batch_size={2 * world_size()}, or a larger dataset.image_size"
            ) from error

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update losses and metrics with one validation batch."""
        self._evaluate(batch, "val")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update losses and metrics with one test batch."""
        self._evaluate(batch, "test")

    def finish(self, stage: str) -> None:
        """Compute ``scalars`` and ``tables`` of a stage and reset its losses and metrics."""
        self._sync_unreadable(stage)
        losses, metrics = self.losses[stage], self.metrics[stage]
        if world_size() > 1:
            losses.gather()
            metrics.gather()
        scalars: dict[str, float] = {}
        if rank() == 0:
            tensors = {f"{stage}/{name}": value for name, value in _results(losses, metrics).items()}
            if tensors:
                values = torch.stack([tensor.cpu().double() for tensor in tensors.values()]).tolist()
                scalars = dict(zip(tensors, values, strict=True))
                self.tables[stage] = metrics.tables()
        scalars = broadcast_object(scalars)  # equal values lead to equal decisions in all processes
        if scalars:
            self.scalars |= scalars
            self.log_dict(scalars, batch_size=1)
        with torch.inference_mode(False):  # what is made in a validation alone could not be changed by a training
            losses.reset()
            metrics.reset()

    def _sync_unreadable(self, stage: str) -> None:
        """Merge what processes could not read of a stage's images, if its loader reads files."""
        loader = self._loader(stage)
        if isinstance(loader, BatchLoader):
            loader.sync_unreadable()

    def _loader(self, stage: str) -> Any:
        trainer = self.trainer
        loaders = {"train": trainer.train_dataloader, "val": trainer.val_dataloaders, "test": trainer.test_dataloaders}
        return loaders[stage]

    def _hold_parameters(self, *, whole: bool) -> None:
        """Under FSDP gather the parameters for a validation, whose processes may have different numbers of batches."""
        if not self._sharded:
            return
        from torch.distributed.fsdp import FSDPModule

        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                module.set_reshard_after_forward(not whole and module is not self.model, recurse=False)
                if whole:
                    module.unshard()
                else:
                    module.reshard()

    def on_validation_start(self) -> None:
        """Copy the first process's buffers: without synchronisation batch norms' running statistics differ."""
        broadcast_buffers(self.model)
        self._hold_parameters(whole=True)

    def on_validation_end(self) -> None:
        """Shard the parameters again."""
        self._hold_parameters(whole=False)

    def _check_whole(self, split: str) -> None:
        """Check that an evaluation has had all its batches.

        Raises:
            UserError: If it has not, and its numbers would be those of some images.
        """
        trainer = self.trainer
        is_own = trainer.state.fn == "validate"
        val_loop = trainer.validate_loop if is_own else trainer.fit_loop.epoch_loop.val_loop
        loop = trainer.test_loop if split == "test" else val_loop
        num_batches, planned = loop.batch_progress.current.completed, sum(loop.max_batches)
        loader = self._loader(split)
        if isinstance(loader, BatchLoader):  # of several processes one may have fewer batches, or none
            planned = min(planned, loader.num_yielded)
        if num_batches < planned:
            raise UserError(
                f"{split} ended after {num_batches} of {planned} batches: a callback, head, loss or metric has raised "
                "StopIteration, which Lightning takes for the end of the data. Expected another error."
            )

    def on_validation_epoch_end(self) -> None:
        """Finish the training epoch as well: it ends with its validation."""
        self._check_whole("val")
        self.finish("train")
        self.finish("val")

    def on_test_epoch_end(self) -> None:
        """Finish the test split."""
        self._check_whole("test")
        self.finish("test")

    def configure_optimizers(self) -> Any:
        """Make the optimizer, if there is one."""
        if self.optimizer_fn is None:
            return None
        optimizer = self.optimizer_fn(self.model)
        if self.distillation is not None:
            self.distillation.add_parameters(optimizer)
        self.base_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_train_start(self) -> None:
        """Begin the schedule at the step that the run has reached, whatever the recipe of its checkpoint was.

        The number of steps is read here: earlier, this would make Lightning set up its loaders before restoring them.
        """
        self._total_steps = int(self.trainer.estimated_stepping_batches)
        if self.schedule_fn is not None:
            optimizer = self.trainer.optimizers[0]
            for group, rate in zip(optimizer.param_groups, self.base_rates, strict=True):
                group["initial_lr"] = rate
            self._schedule = LambdaLR(optimizer, self._rate_factor, last_epoch=self.global_step - 1)
        if self._epoch_so_far:  # each process takes its own, so that sums are rounded as in a run that was not cut
            own = slice(rank(), None, world_size())
            self.losses["train"].load_state(self._epoch_so_far["losses"][own])
            self.metrics["train"].load_state(self._epoch_so_far["metrics"][own])
        self._epoch_so_far = {}

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Do one step and set the rate of the next: Lightning's own way to the schedule takes 60 microseconds more."""
        self._rates[0] = optimizer.param_groups[0]["lr"]  # an attribute of a module would take longer to set
        optimizer.step(closure=optimizer_closure)
        if self._schedule is not None:
            self._schedule.step()

    @property
    def rate(self) -> float:
        """The learning rate of the newest optimizer step, of the first parameter group; 0 before the first."""
        return float(self._rates[0])

    def _rate_factor(self, step: int) -> float:
        return self.rate_scale * (1.0 if self.schedule_fn is None else self.schedule_fn(step, self._total_steps))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the plain hyper-parameters, and within an epoch its losses and metrics so far."""
        checkpoint["hyper_parameters"] = self.hyper_parameters
        if self.data is not None:
            checkpoint["data"] = dict(self.data)
        if self.distillation is not None:
            checkpoint["teacher"] = self.distillation.identity
        losses = self.losses["train"]
        if losses.num_images:
            checkpoint["epoch_so_far"] = {"losses": losses.state(), "metrics": self.metrics["train"].state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the losses and metrics of an epoch that was cut until it goes on."""
        self._epoch_so_far = checkpoint.get("epoch_so_far", {})


def _results(losses: LossMeter | LossTotals, metrics: TaskMetrics) -> dict[str, Tensor]:
    return {**losses.means(), **metrics.scalars(), **metrics.intervals()}


_step_methods: tuple[Any, ...] = (VisionTask.training_step, VisionTask.validation_step, VisionTask.test_step)
for _method in _step_methods:
    # Lightning asks in each step which arguments the method takes; inspect finds them here, in 40 microseconds less.
    _method.__signature__ = inspect.signature(_method)
