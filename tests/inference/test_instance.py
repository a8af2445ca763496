"""What instance segmentation draws and writes: masks on images, and files of run lengths in COCO's form."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from torch import nn

from tests.helpers.predictions import Results, draw_predictions
from visionkit.data.annotations import Annotations, Objects
from visionkit.data.dataset import ImageDataset
from visionkit.data.polygons import Polygons, run_lengths
from visionkit.data.transforms import InputTransform
from visionkit.inference.options import PredictOptions

CLASSES = ("cat", "dog")


class _Drawer(nn.Module):
    """Finds in every image a dog in the left half of its left half, and less surely a cat that fills its right half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images, image_sizes):
        return {"sizes": image_sizes}

    def predict(self, outputs, image_sizes):
        height, width = (image_sizes[:, i].float() for i in (0, 1))
        nothing = torch.zeros_like(width)
        left = torch.stack([nothing, nothing, width / 2, height], dim=1)
        right = torch.stack([width / 2, nothing, width, height], dim=1)
        number = len(image_sizes)
        logits = torch.full((number, 3, 28, 28), 20.0)
        logits[:, 0, :, 14:] = -20.0
        return {
            "boxes": torch.stack([left, right, torch.zeros_like(left)], dim=1),
            "labels": torch.tensor([[1, 0, -1]]).expand(number, 3),
            "scores": torch.tensor([[0.9, 0.2, 0.0]]).expand(number, 3),
            "mask_logits": logits,
        }


class _Samples:
    """One image."""

    def __init__(self, annotation):
        self.truth = annotation

    def __len__(self):
        return 1

    def image(self, position):
        return torch.full((3, 100, 200), 90, dtype=torch.uint8)

    fitted = ImageDataset.fitted

    def annotation(self, position):
        return self.truth


def _object(label, columns, *, crowd=False):
    """An object of some columns of an image of 200x100 pixels."""
    bits = np.zeros((100, 200), dtype=bool)
    bits[:, slice(*columns)] = True
    shapes = Polygons.from_list([run_lengths(bits)], is_rle=True)
    return Objects.from_columns([[columns[0], 0, columns[1], 100]], [label], crowd=[crowd], segmentations=shapes)


def _results(tmp_path, *, names=("a.jpg", "b.png"), **data):
    paths = [tmp_path / name for name in names]
    return Results(
        "instance",
        _Drawer(),
        InputTransform((64, 64), "letterbox"),
        {"class_names": CLASSES, **data},
        target=tmp_path / "out",
        paths=paths,
        precision="32",
        options=PredictOptions(),
    ), paths


def test_masks_are_written_in_coco_form_at_the_size_of_the_original(tmp_path):
    results, paths = _results(tmp_path, category_ids=[17, 18])
    images = [torch.zeros(3, 100, 200, dtype=torch.uint8), torch.zeros(3, 300, 60, dtype=torch.uint8)]
    results.take(paths, images)
    results.write()
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert rows == results.rows
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(1, 18), (1, 17), (2, 18), (2, 17)]
    assert [row["bbox"] for row in rows[:2]] == [[0, 0, 100, 100], [100, 0, 100, 100]]
    dog, cat = (coco.decode(row["segmentation"]) for row in rows[:2])
    assert dog.shape == cat.shape == (100, 200)
    assert dog[2:-2, 2:50].all()  # a mask's corners are round
    assert not dog[:, 50:].any()
    assert cat[2:-2, 100:-2].all()
    assert not cat[:, :100].any()
    assert coco.decode(rows[3]["segmentation"]).shape == (300, 60)


def test_the_file_is_one_that_pycocotools_scores(tmp_path, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results, paths = _results(tmp_path)
    results.take(paths[:1], [torch.zeros(3, 100, 200, dtype=torch.uint8)])
    results.write()
    truth = COCO()
    bits = np.zeros((100, 200), dtype=np.uint8, order="F")
    bits[:, :50] = 1
    row = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 5000, "bbox": [0, 0, 50, 100]}
    truth.dataset = {
        "images": [{"id": 1, "height": 100, "width": 200}],
        "categories": [{"id": 0}, {"id": 1}],
        "annotations": [{**row, "segmentation": coco.encode(bits)}],
    }
    truth.createIndex()
    scores = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "predictions.json")), "segm")
    scores.evaluate()
    scores.accumulate()
    scores.summarize()
    assert scores.stats[0] == pytest.approx(1.0)


def test_masks_below_the_score_are_not_drawn_and_all_are_counted(tmp_path):
    results, paths = _results(tmp_path, names=("a.png",))
    image = torch.full((3, 400, 400), 255, dtype=torch.uint8)
    results.take(paths, [image])
    assert results.lines() == [
        f"{paths[0]}: 1 dog",
        "1 image, masks with a score of 0.3 or more: 1 dog",
        "2 masks of any score are in predictions.json",
    ]
    with Image.open(tmp_path / "out" / "images" / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    inside, beside, cat = pixels[200, 50], pixels[200, 150], pixels[200, 300]
    assert inside.min() < 200
    assert beside.tolist() == cat.tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("columns", "label", "right"), [((0, 50), 1, True), ((50, 100), 1, False), ((0, 50), 0, False)]
)
def test_predictions_stand_beside_the_truth_and_mistaken_masks_are_dashed(tmp_path, monkeypatch, columns, label, right):
    """Even where the box would do: that of the dog is twice as wide as its mask."""
    truth = Annotations.join([_object(label, columns), _object(0, (120, 160), crowd=True)]).objects
    path, panels = tmp_path / "p.png", []
    monkeypatch.setattr(
        "visionkit.report.drawing.detect.plot_boxes", lambda drawn, path, **options: panels.extend(drawn)
    )
    draw_predictions("instance", _Drawer(), _Samples(truth), InputTransform((64, 64), "letterbox"), CLASSES, path)
    ((_, true_boxes), (_, found)) = panels
    assert [box.dashed for box in true_boxes] == [not right, False]  # the second is a crowd
    assert found[0].dashed == (not right)
    assert found[0].mask is not None
