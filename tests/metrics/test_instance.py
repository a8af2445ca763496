"""Scores of instance masks against pycocotools, the reference implementation of the COCO protocol."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.helpers.process_group import run_in_group
from visionkit.metrics import detection
from visionkit.metrics.instance import InstanceMetrics
from visionkit.structures.rle import decode_mask, encode_masks, pack_masks, paste_masks

NAMES = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
CLASSES = ("a", "b", "c")


def _ellipse(box, size):
    """The pixels of an image whose middles lie in the ellipse that fills a box."""
    rows, columns = (np.arange(length) + 0.5 for length in size)
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return ((columns - middle[0]) / half[0]) ** 2 + ((rows[:, None] - middle[1]) / half[1]) ** 2 <= 1


def _boxes(generator, number, size):
    height, width = size
    sides = np.exp(generator.uniform(np.log(8), np.log(220), (number, 1)) + generator.normal(0, 0.2, (number, 2)))
    corner = generator.uniform(-2, np.maximum(0, [width, height] - sides) + 2)
    return np.concatenate([corner, corner + sides], axis=1).clip(0, [width, height, width, height])


def _case(seed, *, images=20, detections=18):
    """Images of different sizes; some lack objects or detections, some objects are crowds, many scores are equal."""
    generator = np.random.default_rng(seed)
    cases = []
    for number in range(images):
        size = (int(generator.integers(120, 240)), int(generator.integers(100, 260)))
        objects = 0 if number % 7 == 3 else int(generator.integers(1, 7))
        truth, labels = _boxes(generator, objects, size), generator.integers(0, 2, objects)
        masks = np.array([_ellipse(box, size) for box in truth], dtype=bool).reshape(-1, *size)
        count = 0 if number % 5 == 4 else int(generator.integers(1, detections))
        boxes, found_labels = _boxes(generator, count, size), generator.integers(0, 3, count)
        near = generator.random(count) < 0.7
        if objects:
            which = generator.integers(0, objects, count)
            sides = truth[which][:, 2:] - truth[which][:, :2]
            moved = truth[which] + generator.normal(0, 0.06, (count, 4)) * np.tile(sides, 2)
            boxes[near], found_labels[near] = moved[near], labels[which][near]
        grid = (np.arange(28) + 0.5) / 14 - 1
        bumps = 6 * (generator.uniform(0.5, 1.3, (count, 1, 1)) - grid**2 - grid[:, None] ** 2)
        cases.append(
            {
                "index": number,
                "size": size,
                "truth_boxes": truth.astype(np.float32),
                "truth_labels": labels,
                "truth_crowd": generator.random(objects) < 0.15,
                "truth_area": masks.sum(axis=(1, 2)).astype(np.float32),
                "truth_masks": masks,
                "boxes": boxes.astype(np.float32),
                "scores": (generator.integers(0, 12, count) / 12).astype(np.float32),
                "labels": found_labels,
                "mask_logits": bumps.astype(np.float32),
            }
        )
    return cases


def _padded(rows, fill=0):
    """Arrays (n, ...) of any shapes behind the first axis as one tensor, padded along all axes."""
    rows = [torch.as_tensor(row) for row in rows]
    shape = [max(1, *(row.shape[axis] for row in rows)) for axis in range(rows[0].ndim)]
    result = rows[0].new_full((len(rows), *shape), fill)
    for target, row in zip(result, rows, strict=True):
        target[tuple(slice(length) for length in row.shape)] = row
    return result


def _batch(cases):
    def padded(*names):
        return {name: _padded([c[name] for c in cases], -1 if "labels" in name else 0) for name in names}

    batch = padded("truth_boxes", "truth_labels", "truth_crowd", "truth_area")
    batch["truth_runs"] = _padded([pack_masks(encode_masks(torch.from_numpy(c["truth_masks"]))) for c in cases])
    batch["index"] = torch.tensor([case["index"] for case in cases])
    batch["original_sizes"] = torch.tensor([case["size"] for case in cases])
    return padded("boxes", "scores", "labels", "mask_logits"), batch


def _measured(cases, *, batch=4):
    metrics = InstanceMetrics(CLASSES)
    for start in range(0, len(cases), batch):
        metrics.update(*_batch(cases[start : start + batch]))
    return metrics


def _numbers(metrics):
    return {name: value.item() for name, value in metrics.scalars().items()}


def _pycocotools(cases, kind):
    """The reference, from bits that it encodes itself; of a detected mask the area is that of its pixels."""
    truth, found = [], []
    for case in cases:
        pasted = paste_masks(torch.as_tensor(case["mask_logits"]), torch.as_tensor(case["boxes"]), case["size"])
        for name, rows, masks in (("truth_", truth, case["truth_masks"]), ("", found, map(decode_mask, pasted))):
            for number, (box, mask) in enumerate(zip(case[f"{name}boxes"].astype(float), masks, strict=True)):
                sides = box[2:] - box[:2]
                row = {
                    "image_id": case["index"],
                    "category_id": int(case[f"{name}labels"][number]),
                    "bbox": [*box[:2], *sides],
                    "segmentation": coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)),
                    "iscrowd": int(case["truth_crowd"][number]) if name else 0,
                    "area": float(mask.sum()) if name or kind == "segm" else float(sides.prod()),
                }
                rows.append(row if name else {**row, "score": float(case["scores"][number])})
    with contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for rows in (truth, found):
            dataset = COCO()
            images = [{"id": c["index"], "height": c["size"][0], "width": c["size"][1]} for c in cases]
            annotations = [{**row, "id": number} for number, row in enumerate(rows, start=1)]
            categories = [{"id": number} for number in range(3)]
            dataset.dataset = {"images": images, "categories": categories, "annotations": annotations}
            dataset.createIndex()
            sets.append(dataset)
        evaluator = COCOeval(*sets, kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def _expected(cases):
    kinds = (("segm", ""), ("bbox", "box_"))
    numbers = {
        prefix + name: value
        for kind, prefix in kinds
        for name, value in zip(NAMES, _pycocotools(cases, kind).stats.tolist(), strict=True)
    }
    return {name: value for name, value in numbers.items() if value >= 0}


@pytest.mark.parametrize("seed", range(4))
def test_the_twelve_numbers_of_masks_and_of_boxes_equal_pycocotools(seed):
    cases = _case(seed)
    expected = _expected(cases)
    assert len(expected) == 24
    assert min(expected.values()) > 0
    assert expected["map"] != expected["box_map"]
    assert _numbers(_measured(cases)) == pytest.approx(expected, abs=1e-12)  # both work in double precision


def test_each_class_has_its_own_average_precision_of_masks_and_of_boxes():
    cases = _case(5)
    masks, boxes = (_pycocotools(cases, kind).eval["precision"][:, :, :, 0, -1] for kind in ("segm", "bbox"))
    labels = np.concatenate([case["truth_labels"][~case["truth_crowd"]] for case in cases])
    tables = _measured(cases).tables()
    table = tables["per_class"]
    assert table.columns == ("class", "objects", "AP", "AP50", "box_AP", "box_AP50")
    for number, (name, objects, *averages) in enumerate(table.rows[:2]):
        assert (name, objects) == (CLASSES[number], int((labels == number).sum()))
        expected = [mean for one in (masks, boxes) for mean in (one[:, :, number].mean(), one[0, :, number].mean())]
        assert averages == pytest.approx(expected)
    assert table.rows[2] == ("c", 0, None, None, None, None)  # found, but never there
    curve = np.array([row[1:] for row in tables["precision_recall"].rows], dtype=float)
    np.testing.assert_allclose(curve[:, 1:3], masks[0, :, :2])


def test_masks_of_the_very_objects_score_one():
    cases = _case(6)
    for case in cases:
        case["truth_crowd"][:] = False
        case["truth_masks"] = np.array(
            [decode_mask(runs) for runs in paste_masks(
                torch.as_tensor(case["mask_logits"]), torch.as_tensor(case["boxes"]), case["size"])],
            dtype=bool,
        ).reshape(-1, *case["size"])  # fmt: skip
        case["truth_boxes"], case["truth_labels"] = case["boxes"], case["labels"]
        case["truth_area"] = case["truth_masks"].sum(axis=(1, 2)).astype(np.float32)
        case["truth_crowd"] = np.zeros(len(case["labels"]), dtype=bool)
        case["scores"] = np.linspace(1, 0.5, len(case["labels"]), dtype=np.float32)
    numbers = _numbers(_measured(cases))
    assert (numbers["map"], numbers["box_map"]) == (pytest.approx(1.0), pytest.approx(1.0))


def test_the_order_and_size_of_batches_change_nothing(monkeypatch):
    cases = _case(7)
    expected = _numbers(_measured(cases))
    shuffled = [cases[place] for place in np.random.default_rng(0).permutation(len(cases))]
    assert _numbers(_measured(shuffled, batch=5)) == expected
    monkeypatch.setattr(detection, "MAX_BUFFERED_BYTES", 1)
    assert _numbers(_measured(cases, batch=1)) == expected


def test_nothing_seen_and_everything_forgotten_give_nothing():
    metrics = InstanceMetrics(CLASSES)
    assert (metrics.scalars(), metrics.tables()) == ({}, {})
    metrics.update(*_batch(_case(8, images=3)))
    assert metrics.scalars()
    metrics.reset()
    assert (metrics.scalars(), metrics.tables()) == ({}, {})


def _share(rank, cases, count):
    """Every count-th image, as processes share a split; one beyond the images has none."""
    metrics = _measured(cases[rank::count], batch=3)
    metrics.gather()
    return _numbers(metrics) if rank == 0 else None


@pytest.mark.parametrize(("count", "images"), [(2, 20), (3, 2)])
def test_several_processes_have_the_numbers_of_one(tmp_path, count, images):
    cases = _case(9, images=images)
    assert run_in_group(count, _share, cases, count, folder=tmp_path)[0] == _numbers(_measured(cases))
