"""``find lr``: a learning rate from a range test on a model of its own."""

from __future__ import annotations

import math
from dataclasses import replace

from visionkit.console import Printer
from visionkit.distributed.devices import device_name
from visionkit.errors import UserError
from visionkit.runs.config import RunConfig
from visionkit.text import count_of
from visionkit.training.build import build_task_and_data
from visionkit.training.caller_state import keep_caller_state
from visionkit.training.finders.options import RateOptions
from visionkit.training.finders.prepare import plan_single_process
from visionkit.training.finders.progress import FinderProgress
from visionkit.training.finders.rate_curve import RateCurve, read_curve
from visionkit.training.finders.rate_test import run_range_test

__all__ = ["find_rate"]


def find_rate(config: RunConfig, options: RateOptions, *, printer: Printer) -> RateCurve:
    """Find a learning rate for a configuration. Nothing is written.

    Args:
        config: The configuration; a run in several processes is measured in one, with the whole batch.
        options: The user's.
        printer: Shows what is done.

    Raises:
        UserError: If configuration or data are wrong, or no rate lowers the loss.
    """
    config, accelerator, _ = plan_single_process(config, subject="lr")
    recipe = replace(  # no epoch is among the last ones, in which mixing and joining are off, or thaws what is frozen
        config.recipe, epochs=1000 * (options.steps + 1), early_stopping=None, unfreeze_at=None, max_time=None,
    )  # fmt: skip
    config = replace(config, recipe=recipe)
    with keep_caller_state():
        task, datamodule = build_task_and_data(config)
        printer.print(
            f"model    {config.backbone.name}, data {datamodule.info.name}, "
            f"{count_of(datamodule.sizes['train'], 'training image')}",
            f"device   {device_name(accelerator)}, precision {config.hardware.precision}",
            f"range    {options.low:g} to {options.high:g} in {count_of(options.steps, 'step')} of "
            f"{min(recipe.batch_size, datamodule.sizes['train']) * recipe.accumulate} images",
        )
        with FinderProgress(printer, "find lr", total=options.steps) as progress:
            rates, losses = run_range_test(
                config, task, datamodule, options, accelerator=accelerator,
                on_step=lambda step, rate, loss: progress.update(step, f"rate {rate:.2g}  loss {loss:.4f}"),
            )  # fmt: skip
    finite = next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    curve = read_curve(
        rates[:finite], losses[:finite], diverged=len(losses) < options.steps, recipe_lr=recipe.lr, low=options.low,
        high=options.high, title=f"{config.backbone.name} on {datamodule.info.name}", batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
    )  # fmt: skip
    if curve is None:
        shown = f" ({losses[0]:.4g} at first, {min(losses[:finite]):.4g} at best)" if finite else ""
        raise UserError(
            f"find lr: no rate from {options.low:g} to {options.high:g} has lowered the loss{shown}, so none can be "
            f"suggested. Try another range (low={options.low / 1000:g} high={options.high:g}), more steps (steps="
            f"{4 * options.steps}) or a larger recipe.batch_size"
        )
    curve = replace(curve, adamw_lr=getattr(recipe.optimizer, "adamw_lr", None))
    lowest, highest = (chosen(task.learning_rate.group_rates) / recipe.lr for chosen in (min, max))
    if lowest < highest:
        note = (
            f"Groups of parameters have rates of their own, {lowest:.2g} to {highest:.2g} times recipe.lr, in the test "
            "as in training"
        )
        curve = replace(curve, notes=[*curve.notes, note])
    return curve
