"""The LightningModule and LightningDataModule of a configuration, which any `lightning.Trainer` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.nn import Parameter

    from visionkit.data import VisionDataModule
    from visionkit.data.augment.mixing import BatchMixing
    from visionkit.runs.config import RunConfig
    from visionkit.settings import Recipe
    from visionkit.tasks.base import VisionTask
    from visionkit.tasks.distillation import Distillation

__all__ = ["build_task_and_data", "freeze_stages", "make_mixing", "make_task"]


def build_task_and_data(config: RunConfig) -> tuple[VisionTask, VisionDataModule]:
    """What ``train`` trains, and its data; the model has the weights that ``train`` begins with.

    Args:
        config: The validated configuration, after `RunConfig.check_initial_weights`.

    Raises:
        UserError: If the data or the weights are wrong.
    """
    from visionkit.runs.checkpoint import build_run_model
    from visionkit.training.caller_state import keep_random_state, plain_torch
    from visionkit.training.model import data_info, initialize_weights
    from visionkit.training.teacher import make_distillation
    from visionkit.training.trainer import seed

    with keep_random_state(), plain_torch():
        datamodule = config.datamodule(None)
        datamodule.prepare_data()
        datamodule.setup("fit")
        data = data_info(config, datamodule)
        seed(config.seed)
        model = build_run_model(config.backbone, config.head, data)
        initialize_weights(model, config, data)
        distillation = make_distillation(config, data, model)
        return make_task(config, model, data, distillation=distillation), datamodule


def make_task(
    config: RunConfig, model: Any, data: dict[str, Any], *, distillation: Distillation | None = None
) -> VisionTask:
    """The LightningModule that trains a model.

    Args:
        config: The configuration.
        model: The result of `visionkit.runs.checkpoint.build_run_model`.
        data: The result of `visionkit.training.model.data_info`.
        distillation: The result of `visionkit.training.teacher.make_distillation` for this model.
    """
    from visionkit.models.prepare import prepare_model
    from visionkit.tasks.build import build_task
    from visionkit.training.optimizers import make_optimizer
    from visionkit.training.schedules import make_schedule

    recipe = config.recipe
    # Lightning clips no gradients of a fused optimizer in mixed precision, and it supports no sharded parameters.
    clips_mixed = config.hardware.precision != "32" and recipe.clip_norm is not None
    fused = not clips_mixed and config.hardware.strategy != "fsdp"
    prepared = prepare_model(model, config.hardware)
    thawing = freeze_stages(prepared, recipe)
    return build_task(
        config.task,
        prepared,
        class_names=tuple(data["class_names"]),
        extra=config.metrics,
        optimizer_fn=lambda model: make_optimizer(
            model,
            settings=recipe.optimizer,
            lr=recipe.lr,
            fused=fused,
            layer_decay=recipe.layer_decay,
            backbone_lr=recipe.backbone_lr,
            thawing=thawing,
        ),
        schedule_fn=make_schedule(recipe),
        thaw_epoch=recipe.thaw_epoch,
        hyper_parameters=config.plain,
        data=data,
        seed=config.seed,
        ema=recipe.ema,
        mixing=make_mixing(config, data),
        distillation=distillation,
    )


def freeze_stages(model: Any, recipe: Recipe) -> set[Parameter]:
    """Freeze the first stages of the backbone as a recipe says.

    Returns:
        Those of their parameters that are trained later on.
    """
    if recipe.freeze is None:
        return set()
    model.backbone.freeze(recipe.freeze)
    if recipe.thaw_epoch is None:
        return set()
    stages = list(model.backbone.stage_parameters().values())[: recipe.freeze]
    return {parameter for parameters in stages for parameter in parameters}


def make_mixing(config: RunConfig, data: Mapping[str, Any]) -> BatchMixing | None:
    """What mixes the images of training batches; None where ``recipe.mix`` is null.

    Args:
        config: The configuration.
        data: The result of `visionkit.training.model.data_info`.
    """
    mix = config.recipe.mix
    if mix is None:
        return None
    from visionkit.data.augment.mixing import BatchMixing

    num_classes, target = len(data["class_names"]), config.task.target
    return BatchMixing(mix, target=target, num_classes=num_classes, seed=config.seed, epochs=config.recipe.epochs)
