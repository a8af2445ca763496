"""Predictions of any number of classes, and the files and pictures they become."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from tests.helpers.predictions import Results, draw_predictions, drawing
from visionkit.data.dataset import TensorDataset
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions

CLASSES = ["bird", "cat", "dog"]
LEVELS = torch.tensor([200, 100, 0], dtype=torch.uint8)


class Shades(nn.Module):
    """Says bird 0.9 and dog 0.6 of light images, cat 0.7 of grey ones, and next to nothing of dark ones."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images, image_sizes=None):
        return {"level": images.float().mean(dim=(1, 2, 3))}

    def predict(self, outputs, image_sizes=None):
        table = torch.tensor([[0.1, 0.2, 0.05], [0.1, 0.7, 0.2], [0.9, 0.2, 0.6]])
        return {"probabilities": table[(outputs["level"] / 100).long()]}


@pytest.fixture
def results(tmp_path):
    def make(**options):
        paths = [Path("light.png"), Path("grey.png"), Path("dark.png")]
        data, out = {"class_names": CLASSES}, tmp_path / "out"
        made = Results("multilabel", Shades(), InputTransform((8, 8)), data, target=out, paths=paths,
                       options=PredictOptions(**options))  # fmt: skip
        made.take(paths, [level.expand(1, 8, 8) for level in LEVELS])
        return made

    return make


def test_an_image_has_the_classes_of_at_least_one_half_the_likeliest_first(results):
    assert [row["classes"] for row in results().rows] == [["bird", "dog"], ["cat"], []]
    assert [row["labels"] for row in results().rows] == [[0, 2], [1], []]
    assert results().rows[0]["scores"] == pytest.approx([0.9, 0.6])


def test_the_least_probability_can_be_chosen(results):
    assert [row["classes"] for row in results(min_score=0.2).rows] == [["bird", "dog", "cat"], ["cat", "dog"], ["cat"]]


def test_the_likeliest_are_listed_whether_an_image_has_them_or_not(results):
    assert [top["class"] for top in results().rows[2]["top"]] == ["cat", "bird", "dog"]


def test_files_have_classes_and_all_probabilities(results, tmp_path):
    made = results()
    made.write()
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert table == [
        ["file", "classes", *CLASSES],
        ["light.png", "bird;dog", "0.900000", "0.200000", "0.600000"],
        ["grey.png", "cat", "0.100000", "0.700000", "0.200000"],
        ["dark.png", "", "0.100000", "0.200000", "0.050000"],
    ]
    stored = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert stored[1]["probabilities"] == pytest.approx({"bird": 0.1, "cat": 0.7, "dog": 0.2})


def test_the_summary_names_the_classes_of_each_image(results):
    assert results().lines() == [
        "light.png: bird (90.0%), dog (60.0%)",
        "grey.png: cat (70.0%)",
        "dark.png: none; most likely cat (20.0%)",
        "3 images: bird 1, cat 1, dog 1, none 1",
    ]


def test_windows_are_refused(results):
    with pytest.raises(UserError, match=r"window: .*this run classifies"):
        results(window=(8, 8))


def test_training_images_and_predictions_are_drawn_with_their_classes(tmp_path):
    images = LEVELS[:, None, None, None].expand(3, 1, 8, 8).contiguous()
    label_sets = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=torch.uint8)
    batch = {"images": images, "label_set": label_sets}
    drawing("multilabel").batch(batch, CLASSES, tmp_path / "batch.png", num_images=3)
    samples = TensorDataset(images, label_sets, torch.arange(3), prefix="val")
    draw_predictions("multilabel", Shades(), samples, InputTransform((8, 8)), CLASSES, tmp_path / "examples.png")
    heights = []
    for name in ("batch", "examples"):
        with Image.open(tmp_path / f"{name}.png") as image:
            heights.append(image.height)
    assert heights[1] > heights[0]  # a wrong prediction has a second line
