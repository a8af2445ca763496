"""Numbers of segmentation against scikit-learn, sets of pixels, and the formulas written out."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from tests.helpers.process_group import run_in_group
from visionkit.metrics.intervals import resample
from visionkit.metrics.segmentation import SegmentationMetrics


def _case(classes, seed, *, unseen=0, images=6, size=(23, 17)):
    """Truth with ignored pixels, and predictions that are right more often than not; the last classes are unseen."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes - unseen, (images, *size))
    masks = np.where(generator.random(truth.shape) < 0.6, truth, generator.integers(0, classes - unseen, truth.shape))
    truth[generator.random(truth.shape) < 0.2] = 255
    return torch.from_numpy(masks).to(torch.uint8), torch.from_numpy(truth).to(torch.uint8)


def _names(classes):
    return [f"c{number}" for number in range(classes)]


def _measured(masks, truth, classes, *, batch=4):
    metrics = SegmentationMetrics(_names(classes))
    for some, true in zip(masks.split(batch), truth.split(batch), strict=True):
        metrics.update(some, true)
    return metrics


def _scalars(metrics):
    return {name: value.item() for name, value in metrics.scalars().items()}


def _counted(masks, truth):
    there = truth != 255
    return truth[there].numpy(), masks[there].numpy()


@pytest.mark.parametrize(("classes", "unseen"), [(2, 0), (11, 0), (7, 2), (255, 0)])
def test_the_confusion_matrix_equals_that_of_scikit_learn(classes, unseen):
    masks, truth = _case(classes, seed=classes, unseen=unseen)
    table = _measured(masks, truth, classes).tables()["confusion_matrix"]
    expected = confusion_matrix(*_counted(masks, truth), labels=range(classes))
    assert [list(row[1:]) for row in table.rows] == expected.tolist()
    assert list(table.columns[1:]) == [row[0] for row in table.rows] == _names(classes)


@pytest.mark.parametrize("seed", [0, 1])
def test_scalars_equal_scikit_learn(seed):
    masks, truth = _case(6, seed)
    there, found = _counted(masks, truth)
    assert _scalars(_measured(masks, truth, 6)) == {
        "mean_iou": pytest.approx(jaccard_score(there, found, average="macro"), abs=1e-12),
        "pixel_accuracy": pytest.approx((there == found).mean(), abs=1e-12),
        "dice": pytest.approx(f1_score(there, found, average="macro"), abs=1e-12),  # Dice is the F1 of pixels
    }


def test_each_class_is_measured_by_its_sets_of_pixels():
    masks, truth = _case(5, seed=2, unseen=1)
    rows = _measured(masks, truth, 5).tables()["per_class"].rows
    counts = truth != 255
    for number, (name, pixels, predicted, iou, dice) in enumerate(rows[:4]):
        there = set(map(tuple, ((truth == number) & counts).nonzero().tolist()))
        found = set(map(tuple, ((masks == number) & counts).nonzero().tolist()))
        assert (name, pixels, predicted) == (f"c{number}", len(there), len(found))
        assert iou == pytest.approx(len(there & found) / len(there | found), abs=1e-12)
        assert dice == pytest.approx(2 * len(there & found) / (len(there) + len(found)), abs=1e-12)
    assert rows[4] == ("c4", 0, 0, None, None)


def test_a_class_that_is_only_predicted_counts_with_nothing_and_one_that_never_occurs_does_not_count():
    masks, truth = torch.tensor([[[0, 0, 1]]], dtype=torch.uint8), torch.tensor([[[0, 0, 0]]], dtype=torch.uint8)
    scalars = _scalars(_measured(masks, truth, 3))
    assert scalars["mean_iou"] == pytest.approx((2 / 3 + 0) / 2)
    assert scalars["dice"] == pytest.approx((4 / 5 + 0) / 2)
    assert scalars["pixel_accuracy"] == pytest.approx(2 / 3)


def test_what_is_predicted_on_ignored_pixels_changes_nothing():
    masks, truth = _case(4, seed=3)
    others = torch.where(truth == 255, (masks + 1) % 4, masks)
    assert not torch.equal(masks, others)
    assert _scalars(_measured(masks, truth, 4)) == _scalars(_measured(others, truth, 4))


def test_masks_of_ignored_pixels_alone_have_no_numbers():
    metrics = _measured(torch.zeros(2, 4, 4, dtype=torch.uint8), torch.full((2, 4, 4), 255, dtype=torch.uint8), 3)
    assert (metrics.scalars(), metrics.tables()) == ({}, {})


def test_numbers_do_not_depend_on_how_images_are_batched():
    masks, truth = _case(9, seed=4)
    assert _scalars(_measured(masks, truth, 9, batch=1)) == _scalars(_measured(masks, truth, 9, batch=6))


def test_memory_does_not_grow_with_the_data():
    metrics = SegmentationMetrics(_names(9))
    sizes = []
    for seed in range(3):
        metrics.update(*_case(9, seed))
        sizes.append(sum(state.nbytes for state in metrics.confusion.metric_state.values()))
    assert sizes == [10 * 10 * 8] * 3
    assert metrics.state_dict() == {}


def test_reset_forgets_what_was_seen():
    masks, truth = _case(4, seed=5)
    metrics = _measured(masks, truth, 4)
    metrics.reset()
    assert (metrics.scalars(), metrics.tables()) == ({}, {})
    metrics.update(masks, masks)
    assert _scalars(metrics) == {"mean_iou": 1.0, "pixel_accuracy": 1.0, "dice": 1.0}


def _share(rank, masks, truth, count):
    metrics = SegmentationMetrics(_names(8))
    if len(masks[rank::count]):
        metrics.update(masks[rank::count], truth[rank::count])
    metrics.gather()
    return (_scalars(metrics), metrics.tables()) if rank == 0 else None


@pytest.mark.parametrize("count", [2, 7])
def test_several_processes_have_the_numbers_of_one(tmp_path, count):
    """Of seven processes, one has seen none of six images."""
    masks, truth = _case(8, seed=6)
    whole = _measured(masks, truth, 8)
    assert run_in_group(count, _share, masks, truth, count, folder=tmp_path)[0] == (_scalars(whole), whole.tables())


def _interval(batches, masks, truth):
    metrics = SegmentationMetrics(_names(3), intervals=True)
    for indices in batches:
        metrics.update(masks[indices], truth[indices], indices)
    return {name: value.item() for name, value in metrics.intervals().items()}


def test_the_interval_holds_the_mean_iou_of_repeated_images_and_does_not_depend_on_batches():
    masks, truth = _case(3, seed=5, images=30)
    truth[3] = 255  # an image without a labelled pixel
    masks[:10] = truth[:10].clamp(max=2)
    found = _interval(torch.arange(30).split(30), masks, truth)
    assert found == _interval(torch.arange(30).flip(0).split(4), masks, truth)
    there = truth != 255
    both = np.array([[(there & (truth == k) & (masks == k))[i].sum() for k in range(3)] for i in range(30)])
    either = np.array([[(there & ((truth == k) | (masks == k)))[i].sum() for k in range(3)] for i in range(30)])
    values = [((draw @ both) / (draw @ either)).mean() for draw in resample(30).numpy().astype(int)]
    low, high = np.quantile(values, [0.025, 0.975])
    assert found == pytest.approx({"mean_iou_low": low, "mean_iou_high": high}, abs=1e-9)


def _interval_in_group(rank, masks, truth):
    metrics = SegmentationMetrics(_names(3), intervals=True)
    own = torch.arange(len(masks))[rank::2]
    metrics.update(masks[own], truth[own], own)
    metrics.gather()
    return {name: value.item() for name, value in metrics.intervals().items()}


def test_two_processes_have_the_interval_of_one(tmp_path):
    masks, truth = _case(3, seed=6, images=9)
    found = run_in_group(2, _interval_in_group, masks, truth, folder=tmp_path)[0]
    assert found == _interval(torch.arange(9).split(9), masks, truth)
