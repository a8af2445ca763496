"""The pictures of a training: curves, the first batch, tables of the test, predictions beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.registry import load

if TYPE_CHECKING:
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.evaluation import Evaluation
    from visionkit.training.setup import RunSetup

__all__ = ["draw_training", "draw_results"]

_MAX_FIRST_BATCH = 32


def draw_training(run: RunSetup, recorder: Recorder) -> None:
    """Plot the curves and the first batch of the run, whatever part of it this process has trained."""
    recorder.draw_curves()
    loader = run.datamodule.train_dataloader()
    loader.sampler.set_epoch(0)
    indices, seeds = next(iter(loader.sampler))
    batch = loader.reader.read((indices[:_MAX_FIRST_BATCH], seeds[:_MAX_FIRST_BATCH]))
    load(run.config.task.drawing)().batch(batch, run.data["class_names"], run.folder.plots / "train_batch.png")


def draw_results(run: RunSetup, evaluation: Evaluation) -> None:
    """Plot the tables of the evaluation, and example predictions beside the ground truth."""
    task, class_names, plots = run.config.task, run.data["class_names"], run.folder.plots
    drawing = load(task.drawing)()
    drawing.tables(evaluation.tables, class_names, plots, split=evaluation.split)
    inference = load(task.inference)(run.model, run.config.source.input_transform(), run.data)
    examples = list(inference.examples(run.datamodule.dataset("val"), drawing.num_examples))
    drawing.examples(examples, class_names, plots / "predictions.png", split="val")
