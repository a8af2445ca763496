"""Detection scores against pycocotools, the reference implementation of the COCO protocol."""

import contextlib
import io
import warnings

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.helpers.process_group import run_in_group
from visionkit.metrics import detection
from visionkit.metrics.detection import DetectionMetrics

NAMES = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)


def _boxes(generator, number, *, side, whole):
    """Boxes of any size, from a fraction of a pixel to many images."""
    wide_and_high = np.exp(generator.uniform(np.log(0.3), np.log(2 * side), (number, 2)))
    corner = generator.uniform(0, side, (number, 2))
    boxes = np.concatenate([corner, corner + wide_and_high], axis=1)
    return (np.ceil(boxes) if whole else boxes).astype(np.float32)


def _case(seed, *, images=24, classes=4, detections=40, side=400, whole=False):
    """Random truth and detections, padded; some images lack either or both, some objects are crowds."""
    generator = np.random.default_rng(seed)
    cases = []
    for number in range(images):
        objects = 0 if number % 7 == 3 else int(generator.integers(1, 9))
        truth = _boxes(generator, objects, side=side, whole=whole)
        labels = generator.integers(0, max(classes - 1, 1), objects)
        count = 0 if number % 5 == 4 else int(generator.integers(1, detections))
        found = _boxes(generator, count, side=side, whole=whole)
        found_labels = generator.integers(0, classes, count)
        near = generator.random(count) < 0.6
        if objects:
            which = generator.integers(0, objects, count)
            shift = generator.normal(0, 3, (count, 4)).round() if whole else generator.normal(0, 6, (count, 4))
            moved = truth[which] + shift
            moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 0.5)
            found[near], found_labels[near] = moved[near], labels[which][near]
        boxes = truth.astype(float)
        cases.append(
            {
                "index": number,
                "truth_boxes": truth,
                "truth_labels": labels,
                "truth_crowd": generator.random(objects) < 0.15,
                "truth_area": (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * generator.uniform(0.4, 1, objects)),
                "boxes": found,
                "scores": generator.integers(0, 12, count) / 12,  # many equal ones
                "labels": found_labels,
            }
        )
    return cases


def _padded(cases, name, width, fill, dtype):
    values = [torch.as_tensor(case[name]).to(dtype) for case in cases]
    shape = (len(cases), width, *values[0].shape[1:])
    padded = torch.full(shape, fill, dtype=dtype)
    for row, value in zip(padded, values, strict=True):
        row[: len(value)] = value
    return padded


def _batch(cases):
    found = max(1, *(len(case["boxes"]) for case in cases))
    objects = max(1, *(len(case["truth_boxes"]) for case in cases))
    predictions = {
        "boxes": _padded(cases, "boxes", found, 0.0, torch.float32),
        "scores": _padded(cases, "scores", found, 0.0, torch.float32),
        "labels": _padded(cases, "labels", found, -1, torch.int64),
    }
    return predictions, {
        "truth_boxes": _padded(cases, "truth_boxes", objects, 0.0, torch.float32),
        "truth_labels": _padded(cases, "truth_labels", objects, -1, torch.int64),
        "truth_crowd": _padded(cases, "truth_crowd", objects, False, torch.bool),
        "truth_area": _padded(cases, "truth_area", objects, 0.0, torch.float32),
        "index": torch.tensor([case["index"] for case in cases]),
    }


def _measured(cases, classes=4, *, batch=5):
    metrics = DetectionMetrics([f"c{number}" for number in range(classes)])
    for start in range(0, len(cases), batch):
        metrics.update(*_batch(cases[start : start + batch]))
    return metrics


def _numbers(metrics):
    return {name: value.item() for name, value in metrics.scalars().items()}


def _pycocotools(cases, classes=4):
    """The reference, from the same float32 numbers in double precision."""

    def rows(kind):
        for case in cases:
            boxes = case["boxes" if kind == "found" else "truth_boxes"].astype(float)
            for number, box in enumerate(boxes):
                size = box[2:] - box[:2]
                row = {"image_id": case["index"], "bbox": [*box[:2], *size], "iscrowd": 0}
                if kind == "found":
                    score = float(np.float32(case["scores"][number]))
                    row |= {"category_id": int(case["labels"][number]), "score": score, "area": size[0] * size[1]}
                else:
                    area = float(np.float32(case["truth_area"][number]))
                    row |= {"category_id": int(case["truth_labels"][number]), "area": area}
                    row["iscrowd"] = int(case["truth_crowd"][number])
                yield row

    with contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for kind in ("truth", "found"):
            dataset = COCO()
            dataset.dataset = {
                "images": [{"id": case["index"]} for case in cases],
                "categories": [{"id": number} for number in range(classes)],
                "annotations": [{**row, "id": number} for number, row in enumerate(rows(kind), start=1)],
            }
            dataset.createIndex()
            sets.append(dataset)
        evaluator = COCOeval(*sets, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def _expected(cases, classes=4):
    stats = _pycocotools(cases, classes).stats
    return {name: value for name, value in zip(NAMES, stats.tolist(), strict=True) if value >= 0}


@pytest.mark.parametrize("seed", range(8))
def test_the_twelve_numbers_equal_pycocotools(seed):
    cases = _case(seed, whole=seed % 2 == 1)
    expected = _expected(cases)
    assert len(expected) == 12
    assert min(expected.values()) > 0
    assert _numbers(_measured(cases)) == pytest.approx(expected, abs=1e-12)  # both work in double precision


def test_more_than_a_hundred_detections_in_an_image_equal_pycocotools_without_a_warning():
    cases = _case(20, images=6, classes=2, detections=400, side=120)
    assert max(len(case["boxes"]) for case in cases) > 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers = _numbers(_measured(cases, 2))
    assert numbers == pytest.approx(_expected(cases, 2), abs=1e-12)


def test_a_single_class_equals_pycocotools():
    cases = _case(21, classes=1)
    metrics = _measured(cases, 1)
    assert _numbers(metrics) == pytest.approx(_expected(cases, 1), abs=1e-12)
    objects = sum(int((~case["truth_crowd"]).sum()) for case in cases)
    assert metrics.tables()["per_class"].rows[0][:2] == ("c0", objects)


def test_each_class_has_its_own_average_precision():
    cases = _case(22)
    precision = _pycocotools(cases).eval["precision"][:, :, :, 0, -1]
    labels = np.concatenate([case["truth_labels"][~case["truth_crowd"]] for case in cases])
    table = _measured(cases).tables()["per_class"]
    assert table.columns == ("class", "objects", "AP", "AP50")
    for number, (name, objects, average, average50) in enumerate(table.rows[:3]):
        assert (name, objects) == (f"c{number}", int((labels == number).sum()))
        assert average == pytest.approx(precision[:, :, number].mean())
        assert average50 == pytest.approx(precision[0, :, number].mean())
    assert table.rows[3] == ("c3", 0, None, None)  # found, but never there


def test_precision_and_recall_are_those_of_pycocotools_at_half_overlap():
    cases = _case(23)
    precision = _pycocotools(cases).eval["precision"][0, :, :, 0, -1]
    table = _measured(cases).tables()["precision_recall"]
    assert table.columns == ("recall", "mean", "c0", "c1", "c2", "c3")
    assert [row[0] for row in table.rows] == pytest.approx(np.linspace(0, 1, 101))
    values = np.array([row[1:5] for row in table.rows])
    np.testing.assert_allclose(values[:, 1:], precision[:, :3])
    np.testing.assert_allclose(values[:, 0], precision[:, :3].mean(axis=1))
    assert {row[5] for row in table.rows} == {None}


def test_numbers_of_sizes_that_do_not_occur_are_left_out():
    cases = _case(24)
    for case in cases:
        case["truth_area"] = np.full(len(case["truth_area"]), 100.0)
    names = _numbers(_measured(cases)).keys()
    assert set(NAMES) - names == {"map_medium", "map_large", "mar_medium", "mar_large"}


def test_perfect_detections_score_one_and_none_at_all_score_zero():
    cases = _case(25)
    for case in cases:
        case["truth_crowd"][:] = False
        case["boxes"], case["labels"] = case["truth_boxes"], case["truth_labels"]
        case["scores"] = np.ones(len(case["labels"]))
    assert _numbers(_measured(cases))["map"] == pytest.approx(1.0)
    for case in cases:
        case["boxes"], case["labels"], case["scores"] = np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0)
    assert _numbers(_measured(cases))["map"] == 0.0


def test_images_without_any_object_have_no_numbers_and_no_nan():
    cases = [
        case | {"truth_boxes": np.zeros((0, 4), np.float32), "truth_labels": [], "truth_crowd": [], "truth_area": []}
        for case in _case(26)
    ]
    metrics = _measured(cases)
    assert metrics.scalars() == {}
    assert {row[1:] for row in metrics.tables()["per_class"].rows} == {(0, None, None)}
    assert {cell for row in metrics.tables()["precision_recall"].rows for cell in row[1:]} == {None}


def test_nothing_seen_and_everything_forgotten_give_nothing():
    metrics = DetectionMetrics(["a", "b", "c", "d"])
    assert metrics.scalars() == {}
    assert metrics.tables() == {}
    cases = _case(27)
    metrics.update(*_batch(cases[:9]))
    metrics.scalars()
    metrics.reset()
    assert metrics.scalars() == {}
    metrics.update(*_batch(cases[9:]))
    assert _numbers(metrics) == pytest.approx(_expected(cases[9:]))


def test_the_order_and_size_of_batches_change_nothing(monkeypatch):
    cases = _case(28)
    expected = _expected(cases)
    shuffled = [cases[place] for place in np.random.default_rng(0).permutation(len(cases))]
    assert _numbers(_measured(shuffled, batch=7)) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(detection, "MAX_BUFFERED_BYTES", 1)
    assert _numbers(_measured(cases, batch=24)) == pytest.approx(expected, abs=1e-12)


def test_predictions_in_half_precision_are_scored():
    cases = _case(29)
    predictions, batch = _batch(cases)
    metrics = DetectionMetrics([f"c{number}" for number in range(4)])
    metrics.update({**predictions, "scores": predictions["scores"].bfloat16()}, batch)
    assert _numbers(metrics)["map"] == pytest.approx(_expected(cases)["map"], abs=0.05)


def _share(rank, cases, count):
    """Every count-th image, as processes share a split; one beyond the images has none."""
    metrics = _measured(cases[rank::count], batch=3)
    metrics.gather()
    return _numbers(metrics) if rank == 0 else None


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_have_the_numbers_of_one(tmp_path, count):
    cases = _case(30)
    assert run_in_group(count, _share, cases, count, folder=tmp_path)[0] == _numbers(_measured(cases))


def test_a_process_that_has_seen_no_image_takes_part(tmp_path):
    cases = _case(31, images=1)
    assert run_in_group(3, _share, cases, 3, folder=tmp_path)[0] == _numbers(_measured(cases))
