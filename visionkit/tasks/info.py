"""What each task needs and is judged by; known without torch."""

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
    """

    name: str
    target: str
    monitor: str
    mode: str

    def better(self, new: float, old: float | None) -> bool:
        """Whether a new score beats the best so far (None before the first); NaN never does."""
        if new != new:
            return False
        return old is None or (new > old if self.mode == "max" else new < old)


TASKS: dict[str, TaskInfo] = {
    "classify": TaskInfo(name="classify", target="label", monitor="val/accuracy", mode="max"),
    "detect": TaskInfo(name="detect", target="boxes", monitor="val/map", mode="max"),
    "segment": TaskInfo(name="segment", target="mask", monitor="val/mean_iou", mode="max"),
    "instance": TaskInfo(name="instance", target="instances", monitor="val/map", mode="max"),
}
