"""Whether ``recipe.mix`` fits the task, the losses, the classes and the batch of a run."""

from __future__ import annotations

from visionkit.errors import UserError
from visionkit.heads import HeadSpec
from visionkit.heads.classification.spec import ClassificationSpec
from visionkit.settings import Mix
from visionkit.tasks.info import TaskInfo

__all__ = ["check_mixing", "check_mixing_batch"]

_INSTEAD = {
    "detect": "mosaic and mixup",
    "instance": "mosaic, copy_paste and mixup",
    "segment": "mosaic and copy_paste",
}
"""The augmentations that join images, of the tasks that do not mix whole batches."""


def check_mixing(mix: Mix | None, task: TaskInfo, head: HeadSpec, *, num_classes: int | None = None) -> None:
    """Check that the images of a batch can be mixed.

    Args:
        mix: ``recipe.mix``.
        task: The task of the run.
        head: Its head.
        num_classes: The number of classes; None where the data are not looked at.

    Raises:
        UserError: If the task, a loss or the classes do not allow it.
    """
    if mix is None:
        return
    if task.name in _INSTEAD:
        raise UserError(
            f"recipe.mix: it mixes the targets of whole images, for task=classify and multilabel, and task={task.name} "
            f"has them for places in an image. Expected null: this task joins images by the augmentations "
            f"{_INSTEAD[task.name]}. Try: recipe.mix=null dataset.augment=strong"
        )
    if not isinstance(head, ClassificationSpec):
        raise UserError(
            "recipe.mix: the head is one of your own, which is not known to take shares of classes for labels. "
            "Expected a head of visionkit, or no mixing. Try: recipe.mix=null"
        )
    hard = next((loss for loss in head.loss if loss.weight and not loss.takes_soft_targets), None)
    if hard is not None:
        soft = next(name for name in head.losses.names() if head.losses.get(name).takes_soft_targets)
        raise UserError(
            f"recipe.mix: mixed images have shares of classes, and the loss '{hard.name(head.losses)}' takes one class "
            f"or none. Expected {soft}, or a loss with takes_soft_targets = True. Try: recipe.mix=null"
        )
    if num_classes == 1 and task.name == "classify":
        raise UserError(
            "recipe.mix: there is one class, so that a mixture of two images is of that class again. Expected two "
            "classes at least. Try: recipe.mix=null"
        )


def check_mixing_batch(mix: Mix | None, *, batch_size: int, num_processes: int) -> None:
    """Check that each process has two images at least, for an image is mixed with another one of its process.

    Args:
        mix: ``recipe.mix``.
        batch_size: The images of a batch, over all processes.
        num_processes: Their number.

    Raises:
        UserError: If it has one.
    """
    if mix is not None and batch_size // num_processes < 2:
        processes = "" if num_processes == 1 else f" in each of {num_processes} processes"
        raise UserError(
            f"recipe.mix: there is one image in a batch{processes}, and none to mix it with. Expected two at least. "
            f"Try: recipe.batch_size={2 * num_processes}, or recipe.mix=null"
        )
