"""The objects of Python in a run, and the markers that stand for them."""

import pytest
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassRecall

from visionkit.errors import UserError
from visionkit.losses.python_loss import PythonLossSpec
from visionkit.runs.objects import RunObjects

PLAIN = {
    "task": {"name": "classify", "metrics": ["auroc"]},
    "head": {"type": "linear", "loss": {"cross_entropy": 1.0}},
    "dataset": {"type": "digits"},
}


def test_a_marker_and_the_repr_stand_for_each_object():
    objects = RunObjects.of(loss=torch.nn.CrossEntropyLoss(), metrics=MulticlassRecall(10))
    marked = objects.marked(PLAIN)
    assert marked["head"]["loss"] == {"type": "python", "object": "CrossEntropyLoss()"}
    recall = {"type": "python", "object": "MulticlassRecall()", "name": "multiclass_recall"}
    assert marked["task"]["metrics"] == ["auroc", recall]


def test_a_marker_without_its_object_names_it_and_what_to_type():
    plain = {**PLAIN, "head": {"type": "python", "object": "MyHead(hidden=64)"}}
    with pytest.raises(UserError, match=r"MyHead\(hidden=64\).*visionkit.load\('runs/...', head=...\)"):
        RunObjects().check_present(plain, predicts=True)


def test_a_run_without_a_marker_takes_no_object():
    with pytest.raises(UserError, match=r"loss: found CrossEntropyLoss.*Expected none"):
        RunObjects.of(loss=torch.nn.CrossEntropyLoss()).check_fits_run(PLAIN, folder="runs/a")


def test_metrics_of_a_collection_keep_their_names():
    collection = MetricCollection({"a": MulticlassRecall(3), "b": MulticlassAccuracy(3)})
    assert sorted(RunObjects.of(metrics=collection).metrics) == ["a", "b"]


@pytest.mark.parametrize("given", [{"head": 3}, {"loss": "mse"}, {"metrics": [3]}, {"head": torch.nn.Linear(2, 2)}])
def test_an_object_of_another_type_is_an_error(given):
    with pytest.raises(UserError, match=f"{next(iter(given))}: found"):
        RunObjects.of(**given)


def test_a_loss_in_evaluation_is_the_mean_over_images():
    spec = PythonLossSpec(weight=1.0, function=torch.nn.CrossEntropyLoss(), task="classify")
    logits, labels = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1, 0])
    sums = spec.load_function(None).sums(logits, labels)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert sums.value().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("task", ["detect", "instance"])
def test_a_loss_for_a_head_of_several_losses_is_refused_with_the_tasks_that_take_one(task):
    import visionkit as vk

    with pytest.raises(
        vk.UserError, match=rf"a head of task '{task}' has several losses.*classify, multilabel, segment"
    ):
        vk.build(task=task, loss=len)
