"""The task of image classification."""

from torch import Tensor

from visionkit.tasks.base import VisionTask

__all__ = ["ClassifyTask"]


class ClassifyTask(VisionTask):
    """Trains a classifier: outputs hold ``logits`` (B, K), batches hold ``label`` (B,) int64 in 0..K-1.

    Of mixed images it is the share of each class, (B, K). Their training accuracy counts the class of the larger share
    as right, as torchvision's reference scripts do: it is a sign of progress, not to be compared with that of
    validation.
    """

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update with the model's probabilities; in training with its logits."""
        scores = outputs["logits"] if stage == "train" else self.model.predict(outputs)["probabilities"]
        labels = batch["label"]
        self.metrics[stage].update(scores, labels.argmax(dim=1) if labels.ndim == 2 else labels)
