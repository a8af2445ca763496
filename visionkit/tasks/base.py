"""The base LightningModule of all tasks: one step for training and one for evaluation."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from visionkit.backbones.weights.finite import non_finite_tensors
from visionkit.data.augment.mixing import BatchMixing
from visionkit.data.loader import BatchLoader
from visionkit.data.sample_seeds import mix_seed
from visionkit.distributed.comm import broadcast_buffers, broadcast_object, rank, world_size
from visionkit.distributed.generators import seed_generators
from visionkit.errors import UserError
from visionkit.metrics.base import TaskMetrics
from visionkit.metrics.table import Table
from visionkit.settings import Ema
from visionkit.tasks.averaging import AveragedTraining
from visionkit.tasks.distillation import Distillation
from visionkit.tasks.freezing import thaw
from visionkit.tasks.learning_rate import LearningRate, ScheduleFn
from visionkit.tasks.loss_meter import LossMeter
from visionkit.tasks.loss_totals import LossTotals
from visionkit.tasks.sharding import hold_parameters, shard
from visionkit.tasks.whole_split import check_whole

__all__ = ["VisionTask"]

OptimizerFn = Callable[[nn.Module], torch.optim.Optimizer]


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
        ema: The moving average of the weights: while the model is validated, after the training, and under
            ``state_dict`` in each checkpoint, the average is the model. None for the weights themselves.
        thaw_epoch: The epoch, from 0, from which on frozen stages of the backbone are trained; None for never.
        mixing: Mixes the images of training batches; None for not.
        distillation: What is learnt of a teacher; None without one.

    Attributes:
        average: The average of the weights, without ``ema`` an empty one.
        scalars: ``<stage>/<name>`` to the newest value of each loss and metric.
        tables: The newest tables of each stage.
        initial: What is not finite in the model that is to be trained, and may stay so.
        learning_rate: The rates of the training.
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
        ema: Ema | None = None,
        thaw_epoch: int | None = None,
        mixing: BatchMixing | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_fn, self.learning_rate = optimizer_fn, LearningRate(schedule_fn)
        self.hyper_parameters = dict(hyper_parameters or {})
        self.data = data
        self.initial = {} if optimizer_fn is None else non_finite_tensors(model.state_dict())
        self.metrics: dict[str, Any] = dict(metrics)
        self._metric_modules = nn.ModuleList(self.metrics.values())
        self.losses: dict[str, Any] = {stage: LossMeter() if stage == "train" else LossTotals() for stage in metrics}
        self.scalars: dict[str, float] = {}
        self.tables: dict[str, dict[str, Table]] = {}
        self.seed, self.thaw_epoch = seed, thaw_epoch
        self.average, self.mixing, self.distillation = AveragedTraining(ema), mixing, distillation
        self._epoch_so_far: dict[str, Any] = {}
        self._sharded = False

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; Lightning's note of the running hook, set 40 times a step, is no parameter to look for."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update the metrics of the stage with the outputs of a batch."""

    def configure_model(self) -> None:
        """Under FSDP (``hardware.strategy=fsdp``) shard each child of the backbone, then the rest of the model."""
        mesh = self._device_mesh
        if mesh is None or self._sharded:
            return
        shard(self.model, mesh["data_parallel"])
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
        seed_generators(mix_seed(self.seed, self.current_epoch, batch_idx, rank()), batch["images"].device)
        if self.mixing is not None:
            batch = self.mixing(batch, epoch=self.current_epoch, step=batch_idx)
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

    def on_validation_start(self) -> None:
        """Copy the first process's buffers: without synchronisation batch norms' running statistics differ."""
        broadcast_buffers(self.model)
        self.average.exchange(averaged=True)
        if self._sharded:  # processes may have different numbers of batches
            hold_parameters(self.model, whole=True)

    def on_validation_end(self) -> None:
        """Go back to the weights in training, and shard the parameters again."""
        if self.trainer.state.fn == "fit":
            self.average.exchange(averaged=False)
        if self._sharded:
            hold_parameters(self.model, whole=False)

    def on_train_end(self) -> None:
        """The average is what has been trained."""
        self.average.exchange(averaged=True)

    def on_validation_epoch_end(self) -> None:
        """Finish the training epoch as well: it ends with its validation."""
        check_whole(self.trainer, self._loader("val"), split="val")
        self.finish("train")
        self.finish("val")

    def on_test_epoch_end(self) -> None:
        """Finish the test split."""
        check_whole(self.trainer, self._loader("test"), split="test")
        self.finish("test")

    def configure_optimizers(self) -> Any:
        """Make the optimizer, if there is one."""
        if self.optimizer_fn is None:
            return None
        optimizer = self.optimizer_fn(self.model)
        if self.distillation is not None:
            self.distillation.add_parameters(optimizer)
        self.learning_rate.set_up(optimizer)
        return optimizer

    def on_train_start(self) -> None:
        """Begin the schedule at the step that the run has reached, whatever the recipe of its checkpoint was.

        The number of steps is read here: earlier, this would make Lightning set up its loaders before restoring them.
        """
        total_steps = int(self.trainer.estimated_stepping_batches)
        self.learning_rate.start(self.trainer.optimizers[0], step=self.global_step, total_steps=total_steps)
        self.average.start(self.model, num_updates=self.global_step)
        if self._epoch_so_far:  # each process takes its own, so that sums are rounded as in a run that was not cut
            own = slice(rank(), None, world_size())
            self.losses["train"].load_state(self._epoch_so_far["losses"][own])
            self.metrics["train"].load_state(self._epoch_so_far["metrics"][own])
        self._epoch_so_far = {}
        self.on_train_epoch_start()  # which Lightning leaves out where a run goes on within an epoch

    def on_train_epoch_start(self) -> None:
        """Train frozen stages from their epoch on."""
        if self.thaw_epoch is not None and self.current_epoch >= self.thaw_epoch:
            thaw(self)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Do one step and set the rate of the next: Lightning's own way to the schedule takes 60 microseconds more."""
        rate = self.learning_rate
        rate.before_step(optimizer)
        optimizer.step(closure=optimizer_closure)
        self.average.update()
        rate.after_step()

    @property
    def rate(self) -> float:
        """The learning rate of the newest optimizer step: ``recipe.lr`` times the schedule; 0 before the first."""
        return self.learning_rate.newest

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the plain hyper-parameters, the average, and within an epoch its losses and metrics so far."""
        checkpoint["hyper_parameters"] = self.hyper_parameters
        if self.data is not None:
            checkpoint["data"] = dict(self.data)
        self.average.store(checkpoint)
        if self.distillation is not None:
            checkpoint["teacher"] = self.distillation.identity
        losses = self.losses["train"]
        if losses.num_images:
            checkpoint["epoch_so_far"] = {"losses": losses.state(), "metrics": self.metrics["train"].state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the average, and the losses and metrics of an epoch that was cut, until the training goes on."""
        self._epoch_so_far = checkpoint.get("epoch_so_far", {})
        if self.trainer.state.fn == "fit":
            self.average.restore(checkpoint)


def _results(losses: LossMeter | LossTotals, metrics: TaskMetrics) -> dict[str, Tensor]:
    return {**losses.means(), **metrics.scalars(), **metrics.intervals()}


_step_methods: tuple[Any, ...] = (VisionTask.training_step, VisionTask.validation_step, VisionTask.test_step)
for _method in _step_methods:
    # Lightning asks in each step which arguments the method takes; inspect finds them here, in 40 microseconds less.
    _method.__signature__ = inspect.signature(_method)
