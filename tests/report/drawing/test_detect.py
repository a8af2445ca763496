"""Pictures of detection: the training batch, which boxes match, precision over recall."""

import numpy as np
import torch
from PIL import Image

from visionkit.metrics.table import Table
from visionkit.report.drawing.detect import MAX_DRAWN, MIN_SCORE, DetectDrawing, _matches, objects_title
from visionkit.report.palette import class_colour

CLASSES = ("cat", "dog")


def _count(path, colour):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


def test_the_training_batch_is_drawn_with_its_boxes_and_without_padding(tmp_path):
    batch = {
        "images": torch.full((1, 1, 64, 64), 255, dtype=torch.uint8),
        "image_sizes": torch.tensor([[32, 64]]),
        "boxes": torch.tensor([[[8.0, 8.0, 30.0, 24.0], [0.0, 0.0, 0.0, 0.0]]]),
        "labels": torch.tensor([[1, -1]]),
    }
    DetectDrawing().batch(batch, CLASSES, tmp_path / "batch.png", num_images=1)
    with Image.open(tmp_path / "batch.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
        assert image.height == 34 + 160 + 8 + 22
    drawn = np.nonzero((pixels[34:194, 8:].max(axis=-1) - pixels[34:194, 8:].min(axis=-1)) > 100)
    assert (drawn[1].min(), drawn[0].max()) == (40, 119)  # five times as large


def test_an_object_is_found_once_and_by_the_surest_box():
    truth = {"boxes": torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]), "labels": torch.tensor([0, 1])}
    found = {
        "boxes": torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60], [50, 50, 54, 60]]),
        "labels": torch.tensor([0, 0, 0, 1]),
    }
    assert _matches(found, truth) == ([True, False, False, False], [True, False])


def test_precision_over_recall_is_drawn_from_its_table(tmp_path):
    rows = [(number / 100, 1 - number / 200, 1 - number / 200, None) for number in range(101)]
    tables = {"precision_recall": Table(("recall", "mean", *CLASSES), rows)}
    DetectDrawing().tables(tables, CLASSES, tmp_path, split="test")
    assert _count(tmp_path / "precision_recall.png", (0x22, 0x26, 0x2E)) > 200
    DetectDrawing().tables({}, CLASSES, tmp_path / "none", split="test")
    assert not (tmp_path / "none").exists()


def _example(num_found, *, true_boxes, scores=None, shift=0.0):
    boxes = torch.tensor(
        [[20.0 * (i % 50), 20.0 * (i // 50), 20.0 * (i % 50) + 10, 20.0 * (i // 50) + 10] for i in range(60)]
    )
    labels = torch.arange(60) % 2
    prediction = {"boxes": boxes[:num_found] + shift, "labels": labels[:num_found]}
    prediction["scores"] = torch.linspace(0.9, 0.5, num_found) if scores is None else torch.tensor(scores)
    truth = {"boxes": boxes[:true_boxes], "labels": labels[:true_boxes], "crowd": torch.zeros(0, 4)}
    return {"image": torch.zeros(3, 40, 1000, dtype=torch.uint8), "truth": truth, "prediction": prediction}


def _drawn(monkeypatch, tmp_path, examples, split="val"):
    drawn = {}
    monkeypatch.setattr(
        "visionkit.report.drawing.detect.plot_boxes",
        lambda panels, path, **options: drawn.update(options, panels=panels),
    )
    DetectDrawing().examples(examples, CLASSES, tmp_path / "p.png", split=split)
    return drawn


def test_at_most_thirty_detections_are_drawn_the_highest_and_the_title_counts_the_rest(monkeypatch, tmp_path):
    drawn = _drawn(monkeypatch, tmp_path, [_example(45, true_boxes=45)])
    (_, truth), (_, found) = drawn["panels"]
    assert (len(truth), len(found)) == (45, MAX_DRAWN)
    assert found[0].text == "cat 90%"
    assert drawn["title"] == (
        "val split: 1 image, the worst first; boxes with a score of 0.3 or more, at most 30 per image (15 left out)"
    )
    assert not any(box.dashed for box in truth + found)  # those left out have been found too


def test_detections_below_the_score_of_predict_are_not_drawn(monkeypatch, tmp_path):
    from visionkit.report.writers.detect import DetectWriter

    drawn = _drawn(monkeypatch, tmp_path, [_example(3, true_boxes=3, scores=[0.9, MIN_SCORE, 0.29])])
    assert len(drawn["panels"][1][1]) == 2
    assert [box.dashed for box in drawn["panels"][0][1]] == [False, False, True]
    assert DetectWriter(tmp_path, {"class_names": CLASSES}, [tmp_path / "a.png"]).drawn_score == MIN_SCORE


def test_colours_and_legend_are_those_of_the_classes_that_occur(monkeypatch, tmp_path):
    drawn = _drawn(monkeypatch, tmp_path, [_example(1, true_boxes=1)])
    assert drawn["legend"] == [("cat", class_colour(0))]
    assert drawn["panels"][1][1][0].colour == class_colour(0)
    assert drawn["headings"] == ("truth (dashed: missed)", "found (dashed: not there)")


def test_the_image_with_the_most_mistakes_comes_first(monkeypatch, tmp_path):
    good, bad = _example(2, true_boxes=2), _example(2, true_boxes=2, shift=9.0)
    drawn = _drawn(monkeypatch, tmp_path, [good, bad])
    assert [any(box.dashed for box in boxes) for _, boxes in drawn["panels"]] == [True, True, False, False]


def test_the_caption_of_predict_says_how_many_are_left_out():
    assert objects_title(30, 45, objects="boxes", min_score=0.3) == (
        "30 of 45 boxes with a score of 0.3 or more (the 30 of highest score are drawn)"
    )
    assert objects_title(1, 1, objects="boxes", min_score=0.5) == "1 box with a score of 0.5 or more"
    assert objects_title(0, 0, objects="masks", min_score=0.5) == "0 masks with a score of 0.5 or more"
