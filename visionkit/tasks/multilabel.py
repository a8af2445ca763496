"""The task of multi-label classification."""

from torch import Tensor

from visionkit.tasks.base import VisionTask

__all__ = ["MultilabelTask"]


class MultilabelTask(VisionTask):
    """Trains a classifier of images that have any number of the K classes.

    Outputs hold ``logits`` (B, K), batches hold ``label_set`` (B, K) uint8, 1 for the classes of an image.
    """

    def update_metrics(self, outputs: dict[str, Tensor], batch: dict[str, Tensor], stage: str) -> None:
        """Update with the model's probabilities; nothing in training."""
        if stage != "train":
            self.metrics[stage].update(self.model.predict(outputs)["probabilities"], batch["label_set"], batch["index"])
