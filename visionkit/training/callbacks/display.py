"""How progress looks: a bar that lives on a terminal, a line per epoch elsewhere."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from visionkit.console import Printer

__all__ = ["ProgressDisplay", "epoch_line"]


class ProgressDisplay:
    """Shows the batches of an epoch on a terminal; prints a line when an epoch has ended.

    Args:
        printer: Where to.
        epochs: How many there will be.
    """

    def __init__(self, printer: Printer, *, epochs: int) -> None:
        self.printer = printer
        self.epochs = epochs
        self._bar: Progress | None = None

    def start_epoch(self, epoch: int, batches: int) -> None:
        """Begin a bar for this epoch, counted from 1."""
        self.stop()
        if not self.printer.console.is_terminal:
            return
        # No refresh thread: it would take turns with the training loop, which refreshes a few times a second itself.
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
        """Move the bar."""
        if self._bar is not None:
            text = f"loss {loss:.4f}  {images_per_second:,.0f} images/s  waits for data {data_share:.0%}"
            self._bar.update(self._bar.task_ids[0], completed=batches, description=text, refresh=True)

    def validate(self) -> None:
        """Say that the bar stands because validation runs."""
        if self._bar is not None:
            bar = self._bar.tasks[0]
            self._bar.update(bar.id, completed=bar.total, description="validation", refresh=True)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def end_epoch(self, line: str) -> None:
        """Take the bar away and leave a line."""
        self.stop()
        self.printer.announce(line)


def epoch_line(row: dict[str, float], *, epochs: int, monitor: str, best: bool) -> str:
    """One epoch in one line.

    Args:
        row: As in ``metrics.csv``.
        epochs: How many there will be.
        monitor: The number that decides.
        best: Whether this epoch is the best so far.
    """
    width = len(str(epochs))
    parts = [
        f"epoch {int(row['epoch']):>{width}}/{epochs}",
        f"loss {row.get('train/loss', float('nan')):.4f}",
        f"{monitor} {row.get(monitor, float('nan')):.4f}{'*' if best else ' '}",
        f"{row['images_per_second']:,.0f} images/s",
        f"waits for data {row['data_wait']:.0%}",
        f"{row['seconds']:.1f} s",
    ]
    return "  ".join(parts)
