"""What a person hands over as a data set, one object or one for each split, and what is known without reading it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visionkit.data.sources.split_names import SPLIT_NAMES
from visionkit.errors import UserError

__all__ = [
    "WHOLE",
    "PythonObject",
    "check_dataset",
    "find_classes",
    "locate",
    "separate",
    "stored_targets",
]

WHOLE = "dataset"
"""The name of a data set that is handed over undivided."""

_EXPECTED = (
    "Expected a torch.utils.data.Dataset with __len__ and __getitem__ whose items are (image, target), or "
    '{"train": ..., "val": ..., "test": ...} of them'
)


@dataclass(frozen=True)
class PythonObject:
    """A data set, told from others by its identity: a person's ``repr`` or ``==`` may be anything.

    Attributes:
        value: The data set.
    """

    value: Any

    def __repr__(self) -> str:
        return f"<{type(self.value).__module__}.{type(self.value).__qualname__} {id(self.value)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PythonObject) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def separate(given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide what was handed over into data sets and settings.

    Args:
        given: A data set, or a mapping with ``train``, perhaps ``val`` and ``test``, and keys of the configuration.

    Returns:
        The data sets, by split or as `WHOLE`, and the other keys, such as ``class_names`` and ``image_size``.

    Raises:
        UserError: If a mapping has no ``train``, or something is no data set.
    """
    if not isinstance(given, Mapping):
        check_dataset(WHOLE, given)
        return {WHOLE: given}, {}
    objects = {split: given[split] for split in SPLIT_NAMES if given.get(split) is not None}
    if WHOLE in given:
        objects = {WHOLE: given[WHOLE], **objects}
    settings = {key: value for key, value in given.items() if key not in (*SPLIT_NAMES, WHOLE)}
    if set(objects) != {WHOLE} and ("train" not in objects or WHOLE in objects):
        found = ", ".join(map(str, given)) or "nothing"
        raise UserError(f'dataset: found a mapping of {found}, without "train". {_EXPECTED}.')
    for split, dataset in objects.items():
        check_dataset(split, dataset)
    return objects, settings


def check_dataset(split: str, dataset: Any) -> None:
    """Check that a data set has a length and items, without reading one.

    Args:
        split: Its split, for messages.
        dataset: The data set.

    Raises:
        UserError: If it is an iterable one, a loader, empty or something else.
    """
    from torch.utils.data import DataLoader, IterableDataset

    name = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    if isinstance(dataset, IterableDataset):
        raise UserError(
            f"dataset: {split} is the iterable data set {name}, whose items have no numbers, so that they cannot be "
            f"shuffled, divided or checked. {_EXPECTED}. Try: a Dataset whose __getitem__(index) reads item index"
        )
    if isinstance(dataset, DataLoader):
        raise UserError(f"dataset: {split} is a DataLoader. {_EXPECTED}. Try: its .dataset")
    if isinstance(dataset, str | bytes | type | Mapping) or not hasattr(dataset, "__getitem__"):
        raise UserError(f"dataset: {split} is {name}, which has no items by number. {_EXPECTED}.")
    try:
        length = len(dataset)
    except Exception as error:
        raise UserError(
            f"dataset: the length of {split}, {name}, cannot be told: {type(error).__name__}: {error}. {_EXPECTED}."
        ) from error
    if not length:
        raise UserError(f"dataset: {split}, {name}, is empty. Expected at least one item.")


def find_classes(datasets: Iterable[Any]) -> tuple[str, ...] | None:
    """The names of classes by torchvision's attribute ``classes``, looked for through ``Subset`` and ``ConcatDataset``.

    Returns:
        Those of the first data set that has any; None if none has.

    Raises:
        UserError: If two data sets have different ones.
    """
    found: tuple[str, ...] | None = None
    for dataset in datasets:
        for base in _bases(dataset):
            names = getattr(base, "classes", None)
            if not isinstance(names, Sequence) or isinstance(names, str) or not names:
                continue
            classes = tuple(map(str, names))
            if found is not None and classes != found:
                raise UserError(
                    f"dataset: the data sets have different classes: {', '.join(found[:5])} ({len(found)}) and "
                    f"{', '.join(classes[:5])} ({len(classes)}). Expected the same in the same order."
                )
            found = classes
    return found


def locate(dataset: Any, row: int) -> tuple[int, int]:
    """What an item is, behind ``Subset`` and ``ConcatDataset``: the identity of its data set, and its number there."""
    from bisect import bisect_right

    from torch.utils.data import ConcatDataset, Subset

    while True:
        if isinstance(dataset, Subset):
            dataset, row = dataset.dataset, int(dataset.indices[row])
        elif isinstance(dataset, ConcatDataset):
            part = bisect_right(dataset.cumulative_sizes, row)
            row -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        else:
            return id(dataset), row


def _bases(dataset: Any) -> list[Any]:
    """The data sets behind ``Subset`` and ``ConcatDataset``."""
    from torch.utils.data import ConcatDataset, Subset

    if hasattr(dataset, "classes"):
        return [dataset]
    if isinstance(dataset, Subset):
        return _bases(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        return [base for part in dataset.datasets for base in _bases(part)]
    return [dataset]


def stored_targets(dataset: Any) -> Any:
    """The class ids of all items, int64 (N,), by torchvision's attribute ``targets``; None if not all are known."""
    import numpy
    from torch.utils.data import ConcatDataset, Subset

    if isinstance(dataset, Subset):
        known = stored_targets(dataset.dataset)
        return None if known is None else known[numpy.asarray(dataset.indices, dtype=numpy.int64)]
    if isinstance(dataset, ConcatDataset):
        parts = [stored_targets(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else numpy.concatenate(parts)
    try:
        targets = numpy.asarray(getattr(dataset, "targets", None))
    except ValueError:
        return None
    if targets.dtype.kind not in "iu" or targets.shape != (len(dataset),):
        return None
    return targets.astype(numpy.int64)
