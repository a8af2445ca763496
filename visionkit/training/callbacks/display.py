"""The display of training progress: a bar within each epoch on a terminal, a line per epoch everywhere."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from visionkit.console import Printer
from visionkit.metric_names import metric_title

__all__ = ["ProgressDisplay", "epoch_line"]


class ProgressDisplay:
    """Shows the batches of an epoch on a terminal, and prints a line after each epoch.

    Args:
        printer: The output.
        epochs: The number of epochs of the run.
    """

    def __init__(self, printer: Printer, *, epochs: int) -> None:
        self.printer = printer
        self.epochs = epochs
        self._bar: Progress | None = None

    def start_epoch(self, epoch: int, batches: int) -> None:
        """Start the bar of an epoch, counted from 1."""
        self.stop()
        if not self.printer.console.is_terminal:
            return
        # No refresh thread: it would compete with the training loop, which itself refreshes a few times a second.
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            console=self.printer.console,
            transient=True,
            auto_refresh=False,
        )
        self._bar.start()
        self._bar.add_task("", total=batches, epoch=epoch, epochs=self.epochs)

    def update(self, batches: int, *, loss: float, images_per_second: float, data_share: float) -> None:
        """Advance the bar to a number of batches, with the loss and the speed beside it."""
        if self._bar is not None:
            text = f"loss {loss:.4f}  {images_per_second:,.0f} images/s  waits for data {data_share:.0%}"
            self._bar.update(self._bar.task_ids[0], completed=batches, description=text, refresh=True)

    def validate(self) -> None:
        """Show that validation runs."""
        if self._bar is not None:
            bar = self._bar.tasks[0]
            self._bar.update(bar.id, completed=bar.total, description="validation", refresh=True)

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def end_epoch(self, line: str) -> None:
        """Remove the bar and print a line."""
        self.stop()
        self.printer.announce(line)


def epoch_line(row: dict[str, float], *, epochs: int, monitor: str, best: bool) -> str:
    """The summary of an epoch in one line.

    Args:
        row: The epoch's row of ``metrics.csv``.
        epochs: The number of epochs of the run.
        monitor: The metric that decides which epoch is the best.
        best: Whether this epoch is the best so far.
    """
    width = len(str(epochs))
    parts = [
        f"epoch {int(row['epoch']):>{width}}/{epochs}",
        f"loss {row.get('train/loss', float('nan')):.4f}",
        f"{metric_title(monitor)} {row.get(monitor, float('nan')):.4f}{'*' if best else ' '}",
        f"{row['seconds']:.1f} s",
    ]
    if row["images_per_second"]:  # none where a run has gone on with the validation alone
        parts[-1:-1] = [f"{row['images_per_second']:,.0f} images/s", f"waits for data {row['data_wait']:.0%}"]
    return "  ".join(parts)
