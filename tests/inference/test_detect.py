"""What each task draws and writes: pictures with boxes, and files of predictions in COCO's form."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.helpers.predictions import Results, draw_predictions
from visionkit.data.annotations import Objects
from visionkit.data.dataset import ImageDataset
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions

CLASSES = ("cat", "dog")


class _Detector(nn.Module):
    """Finds in every image a dog in its upper left quarter and, less surely, a cat in its lower right one."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, images, image_sizes):
        assert images.dtype == torch.uint8
        self.seen.append(tuple(images.shape))
        return {"sizes": image_sizes}

    def predict(self, outputs, image_sizes):
        height, width = (image_sizes[:, i].float() for i in (0, 1))
        nothing = torch.zeros_like(width)
        upper = torch.stack([nothing, nothing, width / 2, height / 2], dim=1)
        lower = torch.stack([width / 2, height / 2, width, height], dim=1)
        boxes = torch.stack([upper, lower, torch.zeros_like(upper)], dim=1)
        number = len(image_sizes)
        return {
            "boxes": boxes,
            "labels": torch.tensor([[1, 0, -1]]).expand(number, 3),
            "scores": torch.tensor([[0.9, 0.2, 0.0]]).expand(number, 3),
        }


class _Samples:
    """Two images of different sizes, and one that cannot be read."""

    def __init__(self, *annotations):
        self.annotations = annotations

    def __len__(self):
        return len(self.annotations)

    def image(self, position):
        if self.annotations[position] is None:
            raise UserError("broken")
        return torch.full((3, 100, 200), 90, dtype=torch.uint8)

    fitted = ImageDataset.fitted

    def annotation(self, position):
        return self.annotations[position]


def _objects(*objects):
    boxes, labels, crowd = zip(*objects, strict=True)
    return Objects.from_columns(boxes, labels, crowd=crowd)


def _results(tmp_path, *, names=("a.jpg", "b.png"), min_score=None, **data):
    paths = [tmp_path / name for name in names]
    return Results(
        "detect",
        _Detector(),
        InputTransform((64, 64), "letterbox"),
        {"class_names": CLASSES, **data},
        target=tmp_path / "out",
        paths=paths,
        precision="32",
        options=PredictOptions(min_score=min_score),
    ), paths


def test_boxes_are_written_in_coco_form_and_original_pixels(tmp_path):
    results, paths = _results(tmp_path, category_ids=[17, 18])
    images = [torch.zeros(3, 100, 200, dtype=torch.uint8), torch.zeros(3, 300, 60, dtype=torch.uint8)]
    results.take(paths, images)
    results.write()
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert rows == results.rows
    assert [(row["image_id"], row["category_id"], row["category_name"], row["score"]) for row in rows] == [
        (1, 18, "dog", 0.9), (1, 17, "cat", 0.2), (2, 18, "dog", 0.9), (2, 17, "cat", 0.2),
    ]  # fmt: skip
    assert [row["bbox"] for row in rows[:2]] == [[0, 0, 100, 50], [100, 50, 100, 50]]
    assert rows[3]["bbox"] == pytest.approx([30, 150, 30, 150], abs=1e-3)
    assert rows[2]["file_name"] == str(tmp_path / "b.png")
    assert results.model.seen == [(2, 3, 64, 64)]


def test_the_file_is_one_that_pycocotools_reads(tmp_path, capsys):
    from pycocotools.coco import COCO

    results, paths = _results(tmp_path)
    results.take(paths[:1], [torch.zeros(3, 64, 64, dtype=torch.uint8)])
    results.write()
    truth = COCO()
    truth.dataset = {"images": [{"id": 1}], "categories": [{"id": 0}, {"id": 1}], "annotations": []}
    truth.createIndex()
    assert len(truth.loadRes(str(tmp_path / "out" / "predictions.json")).anns) == 2


def test_a_file_without_any_box_is_an_empty_list(tmp_path):
    results, _ = _results(tmp_path)
    results.write()
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == []


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("000000000139.jpg", "000000000285.jpg"), [139, 285]),
        (("7.jpg", "x.jpg"), [1, 2]),
        (("7.jpg", "07.png"), [1, 2]),
    ],
)
def test_images_named_by_numbers_keep_them_as_ids(tmp_path, names, ids):
    results, paths = _results(tmp_path, names=names)
    results.take(paths, [torch.zeros(3, 8, 8, dtype=torch.uint8)] * 2)
    assert [row["image_id"] for row in results.rows[::2]] == ids
    assert [row["category_id"] for row in results.rows[:2]] == [1, 0]


def test_images_of_the_data_set_keep_its_ids_and_others_have_ids_of_their_own(tmp_path):
    ids = {tmp_path / "7.jpg": 900, tmp_path / "8.jpg": "a7"}
    names = ("7.jpg", "8.jpg", "9.jpg")
    results, paths = _results(tmp_path, names=names, image_ids=ids, category_ids=["dog-1", 4])
    results.take(paths, [torch.zeros(3, 8, 8, dtype=torch.uint8)] * 3)
    assert [row["image_id"] for row in results.rows[::2]] == [900, "a7", 901]
    assert [row["category_id"] for row in results.rows[:2]] == [4, "dog-1"]


def test_ids_that_are_not_those_of_single_images_are_not_kept(tmp_path):
    ids = {tmp_path / "7.jpg": 1, tmp_path / "8.jpg": 1}  # train and val count each from 1
    results, paths = _results(tmp_path, names=("7.jpg", "8.jpg"), image_ids=ids)
    results.take(paths, [torch.zeros(3, 8, 8, dtype=torch.uint8)] * 2)
    assert [row["image_id"] for row in results.rows[::2]] == [7, 8]


@pytest.mark.parametrize(("min_score", "said"), [(None, "1 dog"), (0.1, "1 dog, 1 cat"), (0.95, "none")])
def test_boxes_below_the_score_are_not_drawn_and_all_are_counted(tmp_path, min_score, said):
    results, paths = _results(tmp_path, names=("in/a.png", "in/deep/b.webp"), min_score=min_score)
    results.take(paths, [torch.full((3, 400, 400), 255, dtype=torch.uint8)] * 2)
    lines = results.lines()
    assert lines[0] == f"{paths[0]}: {said}"
    assert lines[-2:] == [
        f"2 images, boxes with a score of {min_score or 0.3:g} or more: {said.replace('1', '2')}",
        "4 boxes of any score are in predictions.json",
    ]
    pictures = tmp_path / "out" / "images"
    assert sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*.*")) == ["a.png", "deep/b.webp.png"]
    with Image.open(pictures / "a.png") as image:
        assert (np.asarray(image)[:400].min() < 255) == (said != "none")  # the caption lies below


def test_min_score_is_refused_where_there_are_no_boxes(tmp_path):
    with pytest.raises(UserError, match=r"min_score: found 0\.5, but this run classifies.*Leave it out"):
        Results(
        "classify", None, None, {"class_names": CLASSES}, target=tmp_path, paths=[], precision="32",
            options=PredictOptions(min_score=0.5),
        )  # fmt: skip


def test_predictions_stand_beside_the_truth_and_mistakes_are_dashed(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "visionkit.report.drawing.detect.plot_boxes",
        lambda panels, path, **options: drawn.update({path.stem: [[b.dashed for b in boxes] for _, boxes in panels]}),
    )
    right = _objects(([0, 0, 100, 50], 1, False), ([150, 60, 190, 90], 0, True))
    wrong = _objects(([0, 0, 100, 50], 0, False))
    for name, annotation in (("right", right), ("wrong", wrong)):
        path = tmp_path / f"{name}.png"
        samples = _Samples(annotation, None)
        draw_predictions("detect", _Detector(), samples, InputTransform((64, 64), "letterbox"), CLASSES, path)
    assert drawn == {"right": [[False, False], [False]], "wrong": [[True], [True]]}  # the second is a crowd


def test_no_readable_image_draws_nothing(tmp_path):
    draw_predictions("detect", _Detector(), _Samples(None), None, CLASSES, tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (33, 127)])
@pytest.mark.parametrize("mode", ["letterbox", "resize", "resize_pad"])
def test_boxes_come_back_to_the_image_from_an_input_of_any_height_and_width(tmp_path, mode, size):
    results, paths = _results(tmp_path)
    results.inference.transform = InputTransform(size, mode)
    results.take(paths, [torch.zeros(3, 100, 200, dtype=torch.uint8), torch.zeros(3, 300, 60, dtype=torch.uint8)])
    assert results.rows[0]["bbox"] == pytest.approx([0, 0, 100, 50], abs=1e-3)
    assert results.rows[3]["bbox"] == pytest.approx([30, 150, 30, 150], abs=1e-3)
