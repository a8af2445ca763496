"""No metrics, where losses are enough."""

from torch import Tensor, nn

from visionkit.metrics.table import Table

__all__ = ["NoMetrics"]


class NoMetrics(nn.Module):
    """Takes nothing in and has nothing to say."""

    def gather(self) -> None:
        """Nothing is taken in from other processes."""

    def scalars(self) -> dict[str, Tensor]:
        """None."""
        return {}

    def tables(self) -> dict[str, Table]:
        """None."""
        return {}

    def reset(self) -> None:
        """Nothing is forgotten."""
