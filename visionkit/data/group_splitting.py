"""Random splits that keep groups of samples whole, such as the photos of one patient, and stratify by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["merge_groups", "split_groups"]


def split_groups(
    labels: NDArray[Any], groups: NDArray[Any], fractions: Sequence[float], *, seed: int, first_is_train: bool
) -> NDArray[Any]:
    """Assign whole groups to splits, so that each split has about its fraction of each class.

    Groups of several samples are assigned one after the other, the largest first, each to the split that lacks most of
    its classes; then each class's single samples fill up what is missing. A class with as few groups as there are
    splits without it goes to these splits first, to the emptiest of them. No split is empty if there are as many groups
    as splits.

    Args:
        labels: Class ids, integers (N,).
        groups: Group ids, integers (N,).
        fractions: Of each split; their sum is 1.
        seed: The seed of the random order.
        first_is_train: Whether the first split is to have each class before others have it.

    Returns:
        The index of each sample's split, int64 (N,).
    """
    import numpy

    random = numpy.random.RandomState(seed % 2**32)
    _, labels = numpy.unique(labels, return_inverse=True)
    _, groups = numpy.unique(groups, return_inverse=True)
    state = _Assignment(labels, groups, numpy.asarray(fractions, dtype=numpy.float64), first_is_train)
    sizes = numpy.bincount(groups)
    order = random.permutation(len(sizes))
    order = order[numpy.argsort(-sizes[order], kind="stable")]
    for group in order[sizes[order] > 1]:
        state.assign_group(int(group))
    singles = random.permutation(len(labels))
    singles = singles[sizes[groups[singles]] == 1]
    for label in range(state.num_classes):
        state.assign_singles(label, singles[labels[singles] == label])
    for split in range(len(fractions)):
        state.fill_if_empty(split)
    return state.split_of_sample()


def merge_groups(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """The ids of the smallest groups that keep together what either grouping does, int64 (N,).

    Args:
        first: Group ids, integers (N,).
        second: The ids of another grouping, integers (N,).
    """
    import numpy
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, first = numpy.unique(first, return_inverse=True)
    _, second = numpy.unique(second, return_inverse=True)
    num_first, num_nodes = first.max(initial=-1) + 1, first.max(initial=-1) + second.max(initial=-1) + 2
    edges = coo_array((numpy.ones(len(first)), (first, num_first + second)), shape=(num_nodes, num_nodes))
    _, components = connected_components(edges, directed=False)
    merged: NDArray[Any] = components[first].astype(numpy.int64)
    return merged


class _Assignment:
    """The splits of groups that are assigned so far; S splits, K classes, G groups."""

    def __init__(
        self, labels: NDArray[Any], groups: NDArray[Any], fractions: NDArray[Any], first_is_train: bool
    ) -> None:
        import numpy

        self.labels, self.groups, self.fractions = labels, groups, fractions
        self.first_is_train = first_is_train
        self.num_classes = int(labels.max(initial=-1)) + 1
        num_groups = int(groups.max(initial=-1)) + 1
        totals = numpy.bincount(labels, minlength=self.num_classes)
        self.deficits = fractions[:, None] * totals  # (S, K), what each split still lacks of each class
        self.lacks = numpy.ones(self.deficits.shape, dtype=bool)  # (S, K), splits without a sample of a class
        self.totals = totals
        codes, counts = numpy.unique(groups * self.num_classes + labels, return_counts=True)
        self._groups, self._classes, self._counts = codes // self.num_classes, codes % self.num_classes, counts
        self._starts = numpy.searchsorted(codes, numpy.arange(num_groups + 1) * self.num_classes)
        self.groups_left = numpy.bincount(self._classes, minlength=self.num_classes)
        self.split_of_group = numpy.zeros(num_groups, dtype=numpy.int64)

    def assign_group(self, group: int) -> None:
        """Assign a group to the split that lacks most of its classes."""
        rows = slice(self._starts[group], self._starts[group + 1])
        classes, counts = self._classes[rows], self._counts[rows]
        scores = self.deficits[:, classes] @ (counts / self.totals[classes])
        lacks = self.lacks[:, classes]
        scarce = (self.groups_left[classes] <= lacks.sum(axis=0)) & lacks  # (S, classes of the group)
        if scarce.any():
            scores = self._need()
            scores[~scarce.any(axis=1)] = -float("inf")
        split = int(scores.argmax())
        self.split_of_group[group] = split
        self.deficits[split, classes] -= counts
        self.lacks[split, classes] = False
        self.groups_left[classes] -= 1

    def assign_singles(self, label: int, samples: NDArray[Any]) -> None:
        """Divide a class's samples without a group, in this order, so that each split has its fraction."""
        import numpy

        order = (-self._need()).argsort(kind="stable")
        lacking = order[self.lacks[order, label]][: len(samples)]
        quotas = numpy.bincount(lacking, minlength=len(self.fractions))
        wanted = (self.deficits[:, label] - quotas).clip(min=0)
        wanted = wanted if wanted.any() else self.fractions
        rest = len(samples) - len(lacking)
        exact = rest * wanted / wanted.sum()
        quotas += numpy.floor(exact + 1e-9).astype(numpy.int64)
        # the largest remainders first; equal ones go to the split that lacks most of all classes
        order = numpy.lexsort((-self.deficits.sum(axis=1), -numpy.round(exact % 1, 9)))
        quotas[order[: len(samples) - int(quotas.sum())]] += 1
        self.split_of_group[self.groups[samples]] = numpy.repeat(numpy.arange(len(quotas)), quotas)
        self.deficits[:, label] -= quotas

    def fill_if_empty(self, split: int) -> None:
        """Give a split without a group one of a split that has several, and train no class less if it can be."""
        import numpy

        num_groups = numpy.bincount(self.split_of_group, minlength=len(self.fractions))
        if num_groups[split] or num_groups.max(initial=0) < 2:
            return
        splits = self.split_of_group[self._groups]
        num_holders = numpy.zeros(self.deficits.shape, dtype=numpy.int64)  # (S, K), the groups that have a class
        numpy.add.at(num_holders, (splits, self._classes), 1)
        takes_class = self.first_is_train & (splits == 0) & (num_holders[splits, self._classes] == 1)
        num_taken = numpy.bincount(self._groups, weights=takes_class)
        sizes = numpy.bincount(self._groups, weights=self._counts)
        misfit = numpy.abs(sizes - self.fractions[split] * len(self.labels))
        order = numpy.lexsort((misfit, self._emptiness()[self.split_of_group], num_taken))
        group = order[num_groups[self.split_of_group[order]] > 1][0]
        rows = self._groups == group
        self.deficits[self.split_of_group[group], self._classes[rows]] += self._counts[rows]
        self.deficits[split, self._classes[rows]] -= self._counts[rows]
        self.split_of_group[group] = split

    def _emptiness(self) -> NDArray[Any]:
        """How much each split lacks of its size, as a fraction of it, float64 (S,)."""
        emptiness: NDArray[Any] = (self.deficits.sum(axis=1) / (self.fractions * len(self.labels))).round(9)
        return emptiness

    def _need(self) -> NDArray[Any]:
        """The emptiness of each split; train needs a class before all, float64 (S,)."""
        need = self._emptiness()
        if self.first_is_train:
            need[0] = float("inf")
        return need

    def split_of_sample(self) -> NDArray[Any]:
        """The index of each sample's split, int64 (N,)."""
        split_ids: NDArray[Any] = self.split_of_group[self.groups]
        return split_ids
