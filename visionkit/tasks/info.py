"""The tasks, each in one row: required target, monitored metric and implementing classes; without torch.

The head that a task has unless another is chosen is in ``conf/task/NAME.yaml``.
"""

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
        batch_reader: Makes batches of samples, a `visionkit.data.collate.base.BatchReader`; this and the following as
            ``"module:Class"``.
        metrics: Those of validation and test, a `visionkit.metrics.base.TaskMetrics`.
        module: The LightningModule, a `visionkit.tasks.base.VisionTask`.
        inference: Makes predictions, a `visionkit.inference.base.Inference`.
        drawing: Draws the plots of a run, a `visionkit.report.drawing.base.Drawing`.
        writer: Writes result files, a `visionkit.report.writers.base.ResultWriter`.
        training_metrics: Those of training, which cost each step some time; none but losses unless given.
    """

    name: str
    target: str
    monitor: str
    mode: str
    batch_reader: str
    metrics: str
    module: str
    inference: str
    drawing: str
    writer: str
    training_metrics: str = "visionkit.metrics.base:TaskMetrics"

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
        batch_reader="visionkit.data.collate.base:BatchReader",
        metrics="visionkit.metrics.classification:ClassificationMetrics",
        module="visionkit.tasks.classify:ClassifyTask",
        inference="visionkit.inference.classify:ClassifyInference",
        drawing="visionkit.report.drawing.classify:ClassifyDrawing",
        writer="visionkit.report.writers.classify:ClassifyWriter",
        training_metrics="visionkit.metrics.classification:TrainingAccuracy",
    ),
    "multilabel": TaskInfo(
        name="multilabel",
        target="label_set",
        monitor="val/map",
        mode="max",
        batch_reader="visionkit.data.collate.base:BatchReader",
        metrics="visionkit.metrics.multilabel:MultilabelMetrics",
        module="visionkit.tasks.multilabel:MultilabelTask",
        inference="visionkit.inference.multilabel:MultilabelInference",
        drawing="visionkit.report.drawing.multilabel:MultilabelDrawing",
        writer="visionkit.report.writers.multilabel:MultilabelWriter",
    ),
    "detect": TaskInfo(
        name="detect",
        target="boxes",
        monitor="val/map",
        mode="max",
        batch_reader="visionkit.data.collate.detection:DetectionBatchReader",
        metrics="visionkit.metrics.detection:DetectionMetrics",
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
        batch_reader="visionkit.data.collate.segmentation:SegmentationBatchReader",
        metrics="visionkit.metrics.segmentation:SegmentationMetrics",
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
        batch_reader="visionkit.data.collate.detection:InstanceBatchReader",
        metrics="visionkit.metrics.instance:InstanceMetrics",
        module="visionkit.tasks.detect:DetectTask",
        inference="visionkit.inference.detect:InstanceInference",
        drawing="visionkit.report.drawing.instance:InstanceDrawing",
        writer="visionkit.report.writers.instance:InstanceWriter",
    ),
}
