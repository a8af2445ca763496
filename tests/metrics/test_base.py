"""Metrics of the user's choice beside those of the task."""

import pytest
import torch
from torchmetrics import Metric

from visionkit.errors import UserError
from visionkit.metrics.base import TaskMetrics
from visionkit.metrics.classification import ClassificationMetrics


class Wrong(Metric):
    """Counts the wrong labels, in several forms."""

    full_state_update = False

    def __init__(self, form):
        super().__init__(sync_on_compute=False)
        self.form = form
        self.add_state("wrong", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, scores, labels):
        self.wrong += (scores.argmax(1) != labels).sum()

    def compute(self):
        forms = {"scalar": self.wrong, "dict": {"a": self.wrong, "b": -self.wrong}, "vector": self.wrong.repeat(2)}
        return forms[self.form]


def counted(form):
    metrics = ClassificationMetrics(("a", "b"), {"wrong": Wrong(form)})
    for _ in range(2):
        metrics.update(torch.eye(2), torch.tensor([0, 0]))
    return metrics


def test_metrics_without_any_of_their_own_have_nothing_to_say():
    metrics = TaskMetrics(("a", "b"))
    metrics.gather()
    metrics.reset()
    assert (metrics.scalars(), metrics.tables()) == ({}, {})


def test_a_chosen_metric_is_updated_with_what_the_tasks_are_and_reset_with_them():
    metrics = counted("scalar")
    scalars = metrics.scalars()
    assert (scalars["wrong"].item(), scalars["accuracy"].item()) == (2, 0.5)
    metrics.reset()
    assert metrics.scalars() == {}
    assert metrics.extra["wrong"].wrong == 0


def test_a_dict_of_scalars_gives_a_metric_each():
    scalars = counted("dict").scalars()
    assert (scalars["wrong_a"].item(), scalars["wrong_b"].item()) == (2, -2)


def test_a_metric_that_computes_no_scalar_is_an_error_that_names_it():
    with pytest.raises(UserError, match=r"task.metrics: 'wrong' is no scalar: found shape \(2,\)"):
        counted("vector").scalars()
