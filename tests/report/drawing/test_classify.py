"""Pictures of classification and multi-label classification: which images come first, and what stands below them."""

import numpy as np
import pytest

from visionkit.report.drawing.classify import ClassifyDrawing
from visionkit.report.drawing.multilabel import MultilabelDrawing

CLASSES = ("cat", "dog")


@pytest.fixture
def drawn(monkeypatch):
    result = {}
    for task in ("classify", "multilabel"):
        monkeypatch.setattr(
            f"visionkit.report.drawing.{task}.plot_captioned",
            lambda images, captions, path, **options: result.update(options, images=images, captions=captions),
        )
    return result


def _example(truth, label, score):
    return {"image": np.zeros((1, 8, 8), np.uint8), "truth": truth, "prediction": {"label": label, "score": score}}


def test_misclassified_images_come_first_the_surest_first_and_bear_a_cross_and_the_truth(drawn, tmp_path):
    examples = [_example(0, 0, 0.9), _example(0, 1, 0.6), _example(1, 1, 0.7), _example(1, 0, 0.8)]
    ClassifyDrawing().examples(examples, CLASSES, tmp_path / "p.png", split="val")
    assert drawn["captions"] == ["✗ cat 80%\ntruth: dog", "✗ dog 60%\ntruth: cat", "✓ dog 70%", "✓ cat 90%"]
    assert drawn["wrong"] == [True, True, False, False]
    assert drawn["title"] == "val split: 2 of 4 predictions wrong; the surest mistakes first"


def test_of_many_images_thirty_two_are_drawn_and_all_are_counted(drawn, tmp_path):
    examples = [_example(0, int(i % 64 == 0), 0.9) for i in range(128)]
    ClassifyDrawing().examples(examples, CLASSES, tmp_path / "p.png", split="val")
    assert len(drawn["captions"]) == len(drawn["images"]) == 32
    assert drawn["wrong"] == [True] * 2 + [False] * 30
    assert drawn["title"].startswith("val split: 2 of 128 predictions wrong")


def test_the_title_of_a_batch_names_its_split_and_how_much_of_it_is_drawn(drawn, tmp_path):
    batch = {"images": np.zeros((64, 1, 8, 8), np.uint8), "label": np.zeros(64, dtype=int)}
    ClassifyDrawing().batch(batch, CLASSES, tmp_path / "b.png", num_images=100)
    assert drawn["title"] == "train split, first batch: truth of 64 of 100 images"
    assert drawn["captions"] == ["cat"] * 64


def test_of_label_sets_those_farthest_from_the_truth_come_first(drawn, tmp_path):
    examples = [
        {"image": np.zeros((1, 8, 8), np.uint8), "truth": truth, "prediction": {"labels": labels, "probabilities": p}}
        for truth, labels, p in (([0], [0], [0.9, 0.1]), ([0], [0, 1], [0.8, 0.6]), ([1], [0], [0.95, 0.2]))
    ]
    MultilabelDrawing().examples(examples, CLASSES, tmp_path / "p.png", split="test")
    assert drawn["captions"] == ["✗ cat\ntruth: dog", "✗ cat, dog\ntruth: cat", "✓ cat"]
    assert drawn["title"] == "test split: 2 of 3 predictions wrong; the surest mistakes first"
