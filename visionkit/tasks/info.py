"""Facts about each task, without torch: required targets, monitored metric and implementing classes."""

from dataclasses import dataclass

__all__ = ["TASKS", "TaskInfo"]


@dataclass(frozen=True)
class TaskInfo:
    """One task.

    Attributes:
        name: As in ``task=NAME``.
        target: The targets that a data set must have, such as ``label``.
        monitor: The metric that decides which epoch is the best.
        mode: ``max`` if a larger metric is better, else ``min``.
        module: The LightningModule, a `visionkit.tasks.base.VisionTask`; this and the following as ``"module:Class"``.
        inference: Makes predictions, a `visionkit.inference.base.Inference`.
        drawing: Draws the plots of a run, a `visionkit.report.drawing.base.Drawing`.
        writer: Writes result files, a `visionkit.report.writers.base.ResultWriter`.
    """

    name: str
    target: str
    monitor: str
    mode: str
    module: str
    inference: str
    drawing: str
    writer: str

    def better(self, new: float, best: float | None) -> bool:
        """Whether a new score is better than the best so far (None before the first); NaN never does."""
        if new != new:
            return False
        return best is None or (new > best if self.mode == "max" else new < best)


TASKS: dict[str, TaskInfo] = {
    "classify": TaskInfo(
        name="classify",
        target="label",
        monitor="val/accuracy",
        mode="max",
        module="visionkit.tasks.classify:ClassifyTask",
        inference="visionkit.inference.classify:ClassifyInference",
        drawing="visionkit.report.drawing.classify:ClassifyDrawing",
        writer="visionkit.report.writers.classify:ClassifyWriter",
    ),
    "detect": TaskInfo(
        name="detect",
        target="boxes",
        monitor="val/map",
        mode="max",
        module="visionkit.tasks.detect:DetectTask",
        inference="visionkit.inference.detect:DetectInference",
        drawing="visionkit.report.drawing.detect:DetectDrawing",
        writer="visionkit.report.writers.detect:DetectWriter",
    ),
    "segment": TaskInfo(
        name="segment",
        target="mask",
        monitor="val/mean_iou",
        mode="max",
        module="visionkit.tasks.segment:SegmentTask",
        inference="visionkit.inference.segment:SegmentInference",
        drawing="visionkit.report.drawing.segment:SegmentDrawing",
        writer="visionkit.report.writers.segment:SegmentWriter",
    ),
    "instance": TaskInfo(
        name="instance",
        target="instances",
        monitor="val/map",
        mode="max",
        module="visionkit.tasks.instance:InstanceTask",
        inference="visionkit.inference.detect:DetectInference",
        drawing="visionkit.report.drawing.instance:InstanceDrawing",
        writer="visionkit.report.writers.instance:InstanceWriter",
    ),
}
