"""What each task needs, is judged by, and is made of; known without torch."""

from dataclasses import dataclass

__all__ = ["TASKS", "TaskInfo"]


@dataclass(frozen=True)
class TaskInfo:
    """One task.

    Attributes:
        name: As in ``task=NAME``.
        target: What a data set must give, such as ``label``.
        monitor: The number that decides which epoch was the best.
        mode: ``max`` where a larger number is better, else ``min``.
        module: The LightningModule, a `visionkit.tasks.base.VisionTask`; this and what follows as ``"module:Class"``.
        inference: What predicts, a `visionkit.inference.base.Inference`.
        drawing: What draws, a `visionkit.report.drawing.base.Drawing`.
        writer: What writes predictions, a `visionkit.report.writers.base.ResultWriter`.
    """

    name: str
    target: str
    monitor: str
    mode: str
    module: str
    inference: str
    drawing: str
    writer: str

    def better(self, new: float, old: float | None) -> bool:
        """Whether a new score beats the best so far (None before the first); NaN never does."""
        if new != new:
            return False
        return old is None or (new > old if self.mode == "max" else new < old)


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
