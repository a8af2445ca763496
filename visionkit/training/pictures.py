"""The pictures of a training: curves, the first batch, tables of the test, predictions beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.registry import load
from visionkit.training.build import make_mixing

if TYPE_CHECKING:
    from visionkit.metrics.evaluation import Evaluation
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.setup import RunSetup

__all__ = ["draw_training", "draw_results"]


def draw_training(run: RunSetup, recorder: Recorder) -> None:
    """Plot the curves and the first batch of the run, whatever part of it this process has trained."""
    recorder.draw_curves()
    loader = run.datamodule.train_dataloader()
    loader.sampler.set_epoch(0)
    first = next(iter(loader.sampler))
    drawing = load(run.config.task.drawing)()
    some, mixing = slice(drawing.max_batch), make_mixing(run.config, run.data)
    if mixing is None:
        batch = loader.reader.read(first._replace(indices=first.indices[some], seeds=first.seeds[some]))
    else:  # of the whole batch, in which each image has its partner
        mixed = mixing(loader.reader.read(first), epoch=0, step=0)
        batch = {name: value[some] for name, value in mixed.items()}
    path, num_images = run.folder.plots / "train_batch.png", len(first.indices) * run.processes.count
    drawing.batch(batch, run.data["class_names"], path, num_images=num_images)


def draw_results(run: RunSetup, evaluation: Evaluation) -> None:
    """Plot the tables of the evaluation, and example predictions beside the ground truth."""
    task, class_names, plots = run.config.task, run.data["class_names"], run.folder.plots
    drawing = load(task.drawing)()
    drawing.tables(evaluation.tables, class_names, plots, split=evaluation.split)
    inference = load(task.inference)(run.model, run.config.source.input_transform(), run.data)
    examples = list(inference.examples(run.datamodule.dataset("val"), drawing.num_examples))
    drawing.examples(examples, class_names, plots / "predictions.png", split="val")
