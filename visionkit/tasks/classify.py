"""The task of image classification."""

from torch import Tensor

from visionkit.tasks.base import VisionTask

__all__ = ["ClassifyTask"]


class ClassifyTask(VisionTask):
    """Trains a classifier: outputs hold ``logits`` (B, K), batches hold ``label`` (B,) int64 in 0..K-1."""

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update with the model's probabilities; in training with its logits."""
        scores = outputs["logits"] if stage == "train" else self.model.predict(outputs)["probabilities"]
        self.metrics[stage].update(scores, batch["label"])
