"""The pictures of a training: curves, the first batch, tables of the test, predictions beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visionkit.registry import load

if TYPE_CHECKING:
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.evaluation import Evaluation
    from visionkit.training.setup import RunSetup

__all__ = ["draw_training", "draw_results"]


def draw_training(run: RunSetup, recorder: Recorder, first_batch: Mapping[str, Any]) -> None:
    """Plot the curves and the first batch of the training, if there was one."""
    recorder.draw_curves()
    if first_batch:
        path = run.folder.plots / "train_batch.png"
        load(run.config.task.drawing)().batch(first_batch, run.data["class_names"], path)


def draw_results(run: RunSetup, evaluation: Evaluation) -> None:
    """Plot the tables of the evaluation, and example predictions beside the ground truth."""
    task, class_names, plots = run.config.task, run.data["class_names"], run.folder.plots
    drawing = load(task.drawing)()
    drawing.tables(evaluation.tables, class_names, plots, split=evaluation.split)
    inference = load(task.inference)(run.model, run.config.source.input_transform(), run.data)
    examples = list(inference.examples(run.datamodule.dataset("val"), drawing.num_examples))
    drawing.examples(examples, class_names, plots / "predictions.png", split="val")
