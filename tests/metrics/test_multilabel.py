"""Numbers of multi-label classification against scikit-learn."""

import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_score, recall_score

from tests.helpers.process_group import run_in_group
from visionkit.metrics.intervals import resample
from visionkit.metrics.multilabel import MultilabelMetrics, mean_average_precision


def _case(number, classes, seed, *, missing=0):
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(number, classes, generator=generator) < 0.3).to(torch.uint8)
    labels[:, classes - missing :] = 0
    scores = (torch.randn(number, classes, generator=generator) + labels).sigmoid()
    return scores, labels


def _measured(scores, labels, batch=37):
    metrics = MultilabelMetrics("abcdefghijklmnopqrst"[: scores.shape[1]])
    for part, true in zip(scores.split(batch), labels.split(batch), strict=True):
        metrics.update(part, true)
    return metrics


@pytest.mark.parametrize(("classes", "missing", "seed"), [(4, 0, 0), (20, 3, 1)])
def test_scalars_equal_scikit_learn(classes, missing, seed):
    scores, labels = _case(300, classes, seed, missing=missing)
    predicted, present = scores > 0.5, slice(0, classes - missing)
    found = {name: value.item() for name, value in _measured(scores, labels).scalars().items()}
    assert found == {
        # float32 sums over 300 images; classes that no image has are left out of the mean
        "map": pytest.approx(average_precision_score(labels[:, present], scores[:, present]), abs=1e-5),
        "f1_micro": pytest.approx(f1_score(labels, predicted, average="micro"), abs=1e-6),
        "f1_macro": pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0), abs=1e-6),
        "subset_accuracy": pytest.approx(accuracy_score(labels, predicted), abs=1e-6),
    }


def test_the_table_has_the_numbers_of_each_class():
    scores, labels = _case(200, 5, 3, missing=1)
    predicted = scores > 0.5
    rows = _measured(scores, labels).tables()["per_class"].rows
    for index, (name, images, said, precision, recall, f1, average_precision) in enumerate(rows[:4]):
        true, guess = labels[:, index], predicted[:, index]
        assert (name, images, said) == ("abcde"[index], int(true.sum()), int(guess.sum()))
        assert precision == pytest.approx(precision_score(true, guess))
        assert recall == pytest.approx(recall_score(true, guess))
        assert f1 == pytest.approx(f1_score(true, guess))
        assert average_precision == pytest.approx(average_precision_score(true, scores[:, index]), abs=1e-5)
    assert rows[4][1:] == (0, int(predicted[:, 4].sum()), 0.0, None, 0.0, None)


def test_a_single_class_has_the_same_numbers_in_scalars_and_table():
    scores, labels = _case(100, 1, 2)
    metrics = _measured(scores, labels)
    scalars = {name: value.item() for name, value in metrics.scalars().items()}
    expected = f1_score(labels[:, 0], scores[:, 0] > 0.5)
    assert set(scalars) == {"map", "f1_micro", "f1_macro", "subset_accuracy"}
    assert scalars["f1_micro"] == pytest.approx(expected, abs=1e-6)
    (row,) = metrics.tables()["per_class"].rows
    assert row[5:] == (pytest.approx(expected), pytest.approx(scalars["map"]))


def test_without_an_image_of_any_class_the_mean_is_no_number_and_without_images_there_is_none():
    scores, labels = torch.rand(4, 3), torch.zeros(4, 3, dtype=torch.uint8)
    assert _measured(scores, labels).scalars()["map"].isnan()
    assert (MultilabelMetrics(["a"]).scalars(), MultilabelMetrics(["a"]).tables()) == ({}, {})


def test_reset_forgets_what_was_seen():
    metrics = _measured(*_case(50, 3, 4))
    metrics.reset()
    assert metrics.scalars() == {}
    metrics.update(torch.eye(3), torch.eye(3))
    assert {value.item() for value in metrics.scalars().values()} == {1.0}


def _share(rank, scores, labels, count):
    metrics = MultilabelMetrics(["a", "b", "c"])
    if len(scores[rank::count]):
        metrics.update(scores[rank::count], labels[rank::count])
    metrics.gather()
    return ({k: v.item() for k, v in metrics.scalars().items()}, metrics.tables()) if rank == 0 else None


def test_several_processes_have_the_numbers_of_one(tmp_path):
    """Of three processes, one has seen none of two images."""
    scores, labels = torch.tensor([[0.9, 0.2, 0.4], [0.3, 0.6, 0.7]]), torch.tensor([[1, 0, 1], [0, 1, 0]])
    whole = _measured(scores, labels)
    expected = ({k: v.item() for k, v in whole.scalars().items()}, whole.tables())
    assert run_in_group(3, _share, scores, labels, 3, folder=tmp_path)[0] == expected


def test_images_that_count_several_times_have_the_average_precision_that_scikit_learn_weights():
    scores, labels = _case(60, 4, 5, missing=1)
    scores = (scores * 20).round() / 20  # with equal scores
    draws = resample(60)[:5]
    found = mean_average_precision(scores, labels, draws)
    for weights, value in zip(draws, found.tolist(), strict=True):
        expected = [average_precision_score(labels[:, k], scores[:, k], sample_weight=weights) for k in range(3)]
        assert value == pytest.approx(sum(expected) / 3, abs=1e-6)


def _interval(batches):
    scores, labels = _case(80, 4, 6)
    metrics = MultilabelMetrics("abcd", intervals=True)
    for indices in batches:
        metrics.update(scores[indices], labels[indices], indices)
    return metrics


def test_the_interval_of_the_average_precision_holds_it_and_does_not_depend_on_batches():
    one, other = _interval(torch.arange(80).split(80)), _interval(torch.arange(80).flip(0).split(7))
    found = {name: value.item() for name, value in one.intervals().items()}
    assert found["map_low"] < one.scalars()["map"].item() < found["map_high"]
    assert found["map_high"] - found["map_low"] == pytest.approx(0.17, abs=0.05)
    assert {name: value.item() for name, value in other.intervals().items()} == pytest.approx(found, abs=1e-6)
