"""Average precision of images that count several times, against COCO's evaluation of a set that repeats them."""

import time

import numpy
import pytest
import torch

from visionkit.metrics.average_precision import BoxAveragePrecision
from visionkit.metrics.matches import match_detections, mean_average_precision

NUM_CLASSES, NUM_IMAGES = 4, 12


def _images(seed=0):
    """Objects, some of them crowds, and detections near them, elsewhere, twice, and with equal scores."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, high=1.0):
        return torch.rand(shape, generator=generator, dtype=torch.float64) * high

    predictions, targets = [], []
    for index in range(NUM_IMAGES):
        count = int(draw(1, high=6).item())
        corners = draw(count, 2, high=60)
        boxes = torch.cat([corners, corners + 5 + draw(count, 2, high=30)], dim=1)
        labels = (draw(count, high=NUM_CLASSES - 1)).long()  # nothing is of the last class
        near = torch.cat([boxes, boxes, boxes]) + draw(3 * count, 4, high=6) - 3
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        found = torch.cat([near, torch.tensor([[1.0, 1, 20, 20]], dtype=torch.float64)])
        guesses = torch.cat([labels, labels, (labels + 1) % NUM_CLASSES, torch.tensor([3])])
        predictions.append({"boxes": found, "scores": (draw(len(found)) * 20).round() / 20, "labels": guesses})
        targets.append(
            {
                "boxes": boxes, "labels": labels, "iscrowd": (draw(count) < 0.2).long(),
                "area": (boxes[:, 2:] - boxes[:, :2]).prod(dim=1), "image_id": torch.tensor(3 * index),
            }
        )  # fmt: skip
    return predictions, targets


def _metric(predictions, targets, order, *, intervals=False):
    metric = BoxAveragePrecision(NUM_CLASSES, intervals=intervals)
    metric.update(
        [predictions[index] for index in order],
        [{**targets[index], "image_id": torch.tensor(number)} for number, index in enumerate(order)],
    )
    return metric


def test_many_draws_have_the_values_that_each_has_alone(monkeypatch):
    _, matches = _matches(_metric(*_images(), range(NUM_IMAGES), intervals=True), monkeypatch)
    draws = torch.randint(3, (250, NUM_IMAGES), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([mean_average_precision(matches, draw[None]) for draw in draws])
    torch.testing.assert_close(mean_average_precision(matches, draws), alone, rtol=1e-12, atol=0)


def _matches(metric, monkeypatch):
    """What `compute` matches, and its result."""
    kept = []

    def keep(*arguments, **options):
        kept.append(match_detections(*arguments, **options))
        return kept[-1]

    monkeypatch.setattr("visionkit.metrics.average_precision.match_detections", keep)
    return metric.compute(), kept[0]


@pytest.mark.parametrize("seed", range(3))
def test_images_that_count_once_have_cocos_average_precision(seed, monkeypatch):
    result, matches = _matches(_metric(*_images(seed), range(NUM_IMAGES), intervals=True), monkeypatch)
    assert matches.ignored.any()
    found = mean_average_precision(matches, torch.ones(1, NUM_IMAGES, dtype=torch.uint8))
    assert found.item() == pytest.approx(result["map"].item(), abs=1e-12)
    assert 0.1 < found.item() < 0.9
    assert result["map_low"] < result["map"] < result["map_high"]


def test_images_that_count_several_times_have_that_of_a_set_that_repeats_them(monkeypatch):
    images = _images()
    _, matches = _matches(_metric(*images, range(NUM_IMAGES), intervals=True), monkeypatch)
    draws = torch.tensor(
        [[2, 0, 1, 1, 0, 3, 1, 1, 0, 1, 1, 1], [0, 0, 5, 0, 0, 0, 0, 7, 0, 0, 0, 0]], dtype=torch.uint8
    )
    found = mean_average_precision(matches, draws)
    for row, value in zip(draws.tolist(), found.tolist(), strict=True):
        repeated = [index for index, count in enumerate(row) for _ in range(count)]
        assert value == pytest.approx(_metric(*images, repeated).compute()["map"].item(), abs=1e-12)


def test_the_interval_does_not_depend_on_the_order_of_images():
    predictions, targets = _images()
    one, other = BoxAveragePrecision(NUM_CLASSES, intervals=True), BoxAveragePrecision(NUM_CLASSES, intervals=True)
    one.update(predictions, targets)
    other.update(predictions[::-1], targets[::-1])
    assert one.compute()["map_low"] == other.compute()["map_low"]


def test_images_without_objects_or_detections_have_no_interval():
    metric = BoxAveragePrecision(2, intervals=True)
    nothing = {"boxes": torch.zeros(0, 4, dtype=torch.float64), "labels": torch.zeros(0, dtype=torch.int64)}
    empty = [{**nothing, "scores": torch.zeros(0)}] * 2
    crowds = {"iscrowd": torch.zeros(0, dtype=torch.int64), "area": torch.zeros(0)}
    metric.update(empty, [{**nothing, **crowds, "image_id": torch.tensor(index)} for index in range(2)])
    assert "map_low" not in metric.compute()


def test_more_than_a_hundred_detections_of_a_class_count_as_in_cocos_evaluation(monkeypatch):
    boxes = torch.arange(150, dtype=torch.float64)[:, None] * torch.tensor([3.0, 0, 3, 0]) + torch.tensor(
        [0.0, 0, 2, 9]
    )
    target = {
        "boxes": boxes, "labels": torch.zeros(150, dtype=torch.int64), "iscrowd": torch.zeros(150, dtype=torch.int64),
        "area": torch.full((150,), 18.0), "image_id": torch.tensor(0),
    }  # fmt: skip
    prediction = {"boxes": boxes, "labels": target["labels"], "scores": torch.linspace(1, 0, 150)}
    metric = BoxAveragePrecision(1, intervals=True)
    metric.update([prediction] * 2, [target, {**target, "image_id": torch.tensor(1)}])
    result, matches = _matches(metric, monkeypatch)
    assert len(matches.images) == 200
    assert mean_average_precision(matches, torch.ones(1, 2, dtype=torch.uint8)).item() == pytest.approx(
        result["map"].item(), abs=1e-12
    )


def test_the_time_of_matching_grows_with_the_images_not_with_their_square():
    count = 8_000
    columns = {"image_id": numpy.arange(count).repeat(2), "category_id": numpy.tile([0, 1], count)}
    ious = {(image, category): numpy.ones((1, 1)) for image in range(count) for category in range(2)}
    targets = {**columns, "iscrowd": numpy.zeros(2 * count)}
    detections = {**columns, "score": numpy.ones(2 * count)}
    start = time.process_time()
    matches = match_detections(ious, targets, detections, image_ids=range(count), num_classes=2)
    assert time.process_time() - start < 3  # 0.06 s; with the square 7 s
    assert matches.hits.all()
