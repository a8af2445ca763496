"""Numbers against scikit-learn, or a formula written out here."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, top_k_accuracy_score

from visionkit.metrics.classification import ClassificationMetrics, TrainingAccuracy


def _case(number, classes, seed, *, missing=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes - missing, (number,), generator=generator)
    logits = torch.randn(number, classes, generator=generator)
    logits[torch.arange(number), labels] += 1.0
    return logits.softmax(1), labels


def _measured(probabilities, labels, classes, batch=37):
    metrics = ClassificationMetrics([f"c{i}" for i in range(classes)])
    for p, y in zip(probabilities.split(batch), labels.split(batch), strict=True):
        metrics.update(p, y)
    return metrics


def _expected_calibration_error(probabilities, labels, bins=15):
    scores, guesses = probabilities.max(1)
    total = 0.0
    for low in np.linspace(0, 1, bins + 1)[:-1]:
        inside = (scores > low) & (scores <= low + 1 / bins)
        if inside.any():
            gap = (guesses[inside] == labels[inside]).double().mean() - scores[inside].double().mean()
            total += inside.double().mean().item() * abs(gap.item())
    return total


@pytest.mark.parametrize(("classes", "missing", "seed"), [(10, 0, 0), (10, 3, 1), (7, 0, 2), (100, 0, 3)])
def test_scalars_equal_scikit_learn(classes, missing, seed):
    probabilities, labels = _case(500, classes, seed, missing=missing)
    guesses = probabilities.argmax(1)
    scalars = {name: value.item() for name, value in _measured(probabilities, labels, classes).scalars().items()}
    # float32 sums over 500 images
    assert scalars["accuracy"] == pytest.approx(accuracy_score(labels, guesses), abs=1e-6)
    assert scalars["f1_macro"] == pytest.approx(f1_score(labels, guesses, average="macro"), abs=1e-6)
    top5 = top_k_accuracy_score(labels, probabilities, k=5, labels=range(classes))
    assert scalars["top5_accuracy"] == pytest.approx(top5, abs=1e-6)
    assert scalars["calibration_error"] == pytest.approx(_expected_calibration_error(probabilities, labels), abs=1e-5)


def test_confusion_matrix_equals_scikit_learn():
    probabilities, labels = _case(300, 6, 4)
    table = _measured(probabilities, labels, 6).tables()["confusion_matrix"]
    assert [list(row[1:]) for row in table.rows] == confusion_matrix(labels, probabilities.argmax(1)).tolist()
    assert list(table.columns[1:]) == [row[0] for row in table.rows] == [f"c{i}" for i in range(6)]


def test_accuracy_of_each_class_is_the_share_of_its_images_that_are_right():
    probabilities, labels = _case(300, 6, 5, missing=1)
    guesses = probabilities.argmax(1)
    rows = _measured(probabilities, labels, 6).tables()["per_class"].rows
    for index, (name, images, correct, accuracy) in enumerate(rows[:5]):
        own = labels == index
        assert (name, images, correct) == (f"c{index}", int(own.sum()), int((guesses[own] == index).sum()))
        assert accuracy == correct / images
    assert rows[5] == ("c5", 0, 0, None)


def test_five_classes_have_no_top_five():
    probabilities, labels = _case(50, 5, 6)
    assert set(_measured(probabilities, labels, 5).scalars()) == {"accuracy", "f1_macro", "calibration_error"}


def test_numbers_do_not_depend_on_how_batches_are_gathered(monkeypatch):
    probabilities, labels = _case(200, 8, 7)
    at_once = _measured(probabilities, labels, 8).scalars()
    monkeypatch.setattr(ClassificationMetrics, "max_buffered_values", 500)
    in_parts = _measured(probabilities, labels, 8, batch=11).scalars()
    for name, value in at_once.items():
        assert in_parts[name].item() == pytest.approx(value.item(), abs=1e-6)


def test_reset_forgets_what_was_seen():
    probabilities, labels = _case(40, 4, 8)
    metrics = _measured(probabilities, labels, 4)
    metrics.update(probabilities, labels)
    metrics.reset()
    assert metrics.scalars() == {}
    assert metrics.tables() == {}
    metrics.update(torch.eye(4), torch.arange(4))
    assert metrics.scalars()["accuracy"].item() == 1.0


def test_training_metrics_take_logits_and_hold_accuracy_alone():
    metrics = TrainingAccuracy(["a", "b"])
    assert metrics.scalars() == {}
    metrics.update(torch.tensor([[5.0, -3.0], [2.0, 9.0], [4.0, 1.0]]), torch.tensor([0, 1, 1]))
    assert {name: value.item() for name, value in metrics.scalars().items()} == {"accuracy": pytest.approx(2 / 3)}
    assert metrics.tables() == {}
    metrics.reset()
    metrics.update(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert metrics.scalars()["accuracy"].item() == 1.0


def test_half_precision_probabilities_are_counted():
    metrics = ClassificationMetrics(["a", "b", "c"])
    metrics.update(torch.eye(3, dtype=torch.bfloat16), torch.tensor([0, 1, 1]))
    scalars = metrics.scalars()
    assert scalars["accuracy"].item() == pytest.approx(2 / 3)
    assert math.isfinite(scalars["calibration_error"].item())
