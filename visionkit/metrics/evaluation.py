"""What an evaluation gives: the metrics and tables of a model on one split."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from visionkit.metrics.table import Table

__all__ = ["Evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a model on one split.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        scalars: ``<split>/<name>`` to the value of each loss and metric.
        tables: Tables by name, such as ``per_class`` and ``confusion_matrix``.
    """

    split: str
    scalars: dict[str, float]
    tables: dict[str, Table]

    def to_plain(self) -> dict[str, Any]:
        """For `from_plain`, in another process."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Evaluation":
        """The evaluation of `to_plain`."""
        tables = {name: Table(**values) for name, values in plain["tables"].items()}
        return cls(plain["split"], dict(plain["scalars"]), tables)
