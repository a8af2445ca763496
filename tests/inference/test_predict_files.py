"""Images above the limit of pixels: by windows they are predicted as smaller ones are, and otherwise refused."""

import itertools
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from torch import nn

from visionkit.data.images import ImageReader
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.inference import predictor as predict_module
from visionkit.inference.base import choose_window
from visionkit.inference.image_files import ImageFiles
from visionkit.inference.options import PredictOptions
from visionkit.inference.predict_files import predict_files
from visionkit.inference.predictor import Predictor
from visionkit.registry import load
from visionkit.tasks.info import TASKS

HEIGHT, WIDTH = 3000, 4000
SQUARES = [(top, left) for top, left in itertools.product(range(150, 2900, 430), range(90, 3900, 470))]
SIDE = 60
CLASSES = ("background", "square")


@pytest.fixture(autouse=True)
def small_drawings(monkeypatch):
    """Drawing takes longer than predicting."""
    monkeypatch.setattr(predict_module, "_MAX_DRAWN_PIXELS", 200_000)


def picture():
    pixels = np.full((HEIGHT, WIDTH, 3), 10, dtype=np.uint8)
    for top, left in SQUARES:
        pixels[top : top + SIDE, left : left + SIDE] = 240
    return Image.fromarray(pixels)


class _Segmenter(nn.Module):
    """Bright pixels are class 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images, image_sizes):
        grey = images.float().mean(dim=1)
        return {"logits": torch.stack([125 - grey, grey - 125], dim=1)}


class _Detector(nn.Module):
    """Finds the bright squares of an image, and the parts of them at its edges; masks are full."""

    def __init__(self, *, has_masks):
        super().__init__()
        self.weight, self.has_masks = nn.Parameter(torch.zeros(1)), has_masks

    def forward(self, images, image_sizes):
        return {"bright": images[:, 0] > 125}

    def predict(self, outputs, image_sizes):
        from scipy.ndimage import find_objects, label

        found = [
            [(x.start, y.start, x.stop, y.stop) for y, x in find_objects(label(bright)[0])]
            for bright in outputs["bright"].numpy()
        ]
        count = max(map(len, found)) + 1
        boxes, labels = torch.zeros(len(found), count, 4), torch.full((len(found), count), -1)
        for i, image in enumerate(found):
            boxes[i, : len(image)] = torch.tensor(image, dtype=torch.float32).reshape(-1, 4)
            labels[i, : len(image)] = 1
        outputs = {"boxes": boxes, "labels": labels, "scores": (labels >= 0).float() * 0.9}
        return outputs | ({"mask_logits": torch.full((*labels.shape, 28, 28), 9.0)} if self.has_masks else {})


def predicted(tmp_path, name, *, task, max_pixels, window=(900, 1000), strict=True):
    """The rows that ``predict`` writes for one file."""
    model = _Segmenter() if task == "segment" else _Detector(has_masks=task == "instance")
    data = {"class_names": CLASSES, "image_size": [512, 512]}
    options = PredictOptions(window=window)
    inference = load(TASKS[task].inference)(model, InputTransform((512, 512), "letterbox"), data, options=options)
    target, files = tmp_path / f"{task}-{name}-{max_pixels}", ImageFiles(str(tmp_path / name))
    writer = load(TASKS[task].writer)(target, data, files.paths)
    predictor = Predictor(inference, ImageReader(3, max_pixels=max_pixels), task=task, batch_size=4)
    predict_files(predictor, writer, files, strict=strict)
    writer.write()
    return target, json.loads((target / "predictions.json").read_text())


def test_windows_find_each_object_of_an_image_above_the_limit_once_as_without_a_limit(tmp_path):
    picture().save(tmp_path / "a.tif", compression="tiff_lzw")
    _, rows = predicted(tmp_path, "a.tif", task="detect", max_pixels=1000)
    assert rows == predicted(tmp_path, "a.tif", task="detect", max_pixels=None)[1]
    boxes = sorted(tuple(row["bbox"]) for row in rows)
    expected = sorted((left, top, SIDE, SIDE) for top, left in SQUARES)
    assert np.allclose(boxes, expected, atol=2)  # a window of 900 x 1000 is resized to 461 x 512


def _append(windows, *found):
    windows.append(found)


@pytest.mark.parametrize(("own", "typed", "kept"), [(10, None, 10), (10, 12, 12), (100, 5, 5), (100, None, 16)])
def test_windows_keep_as_many_objects_of_an_image_as_whole_images(tmp_path, own, typed, kept):
    picture().crop((0, 0, 1900, 1500)).save(tmp_path / "a.png")
    model = _Detector(has_masks=False)
    model.head = SimpleNamespace(max_detections=own)
    data = {"class_names": CLASSES, "image_size": [512, 512]}
    for window in ((500, 500), None):
        options = PredictOptions(window=window, max_detections=typed)
        transform = InputTransform((1500, 1900) if window is None else (512, 512), "letterbox")
        inference = load(TASKS["detect"].inference)(model, transform, data, options=options)
        predictor = Predictor(inference, ImageReader(3), task="detect", batch_size=4)
        windows = []
        (prediction,) = predictor.stream([tmp_path / "a.png"], on_windows=partial(_append, windows))
        assert len(prediction) == kept
        said = [finding.text for finding in predictor.findings]
        cut = f"1 image(s) with {kept} objects, the most that are kept of one: others of lower scores are cut"
        assert said == ([cut] if kept < 16 else [])
        name = str(tmp_path / "a.png")
        assert windows[:1] == ([(name, 0, 20)] if window else [])
        assert windows[-1:] == ([(name, 20, 20)] if window else [])


@pytest.mark.parametrize(("window", "size", "least"), [
    ((8, 8), (64, 64), "[32,32]"), ((100, 31), (256, 64), "[32,32]"), ((60, 60), (512, 512), "[64,64]"),
    ((27, 28), (28, 28), "[28,28]"), ((99, 127), (800, 1024), "[100,128]"),
])  # fmt: skip
def test_windows_that_show_too_little_are_refused(window, size, least):
    with pytest.raises(UserError, match=r"^window: found .*Try: window=auto, or window=") as error:
        choose_window(window, size)
    assert f"Expected at least {least}." in str(error.value)


@pytest.mark.parametrize(("window", "size"), [((32, 32), (64, 64)), ((28, 28), (28, 28)), ((64, 64), (512, 512))])
def test_the_smallest_windows_are_taken(window, size):
    assert choose_window(window, size) == window
    assert choose_window("auto", size) == size


def test_windows_segment_an_image_above_the_limit_as_without_a_limit(tmp_path):
    picture().save(tmp_path / "a.tif", compression="tiff_lzw")
    truth = np.asarray(picture())[..., 0] > 125
    for limit in (1000, None):
        target, document = predicted(tmp_path, "a.tif", task="segment", max_pixels=limit, window=(512, 512))
        with Image.open(target / "masks" / "a.png") as mask:
            assert np.array_equal(np.asarray(mask), truth)
        assert document["images"][0]["pixels"] == {"background": int((~truth).sum()), "square": int(truth.sum())}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_windows_segment_files_of_every_form(tmp_path, name):
    picture().crop((0, 0, 1000, 700)).save(tmp_path / name)
    target, _ = predicted(tmp_path, name, task="segment", max_pixels=1000, window=(512, 512))
    with Image.open(target / "masks" / "a.png") as mask:
        assert np.array_equal(np.asarray(mask), np.asarray(picture())[:700, :1000, 0] > 125)


def test_masks_of_objects_in_windows_lie_where_their_boxes_are(tmp_path):
    picture().crop((0, 0, 1000, 900)).save(tmp_path / "a.tif")
    _, rows = predicted(tmp_path, "a.tif", task="instance", max_pixels=1000, window=(512, 512))
    assert len(rows) == 4
    for row in rows:
        left, top, width, height = (round(value) for value in row["bbox"])
        mask = coco.decode(row["segmentation"])
        assert mask.shape == (900, 1000)
        assert mask[top : top + height, left : left + width].mean() > 0.99
        assert abs(int(mask.sum()) - width * height) < 4 * SIDE


def test_large_images_are_drawn_at_a_fraction_of_their_size(tmp_path):
    picture().crop((0, 0, 1000, 900)).save(tmp_path / "a.png")
    target, _ = predicted(tmp_path, "a.png", task="detect", max_pixels=None, window=(512, 512))
    with Image.open(target / "images" / "a.png") as image:
        assert image.width == 668  # a third, and enlarged to be legible
        assert image.height > 600  # a legend is below
        pixels = np.asarray(image.convert("RGB")).astype(int)[:600]
    top, left, side = (round(value * 600 / 900) for value in (*SQUARES[0], SIDE))
    assert np.abs(pixels[top + side // 2, left + side // 2] - 240).max() <= 2
    assert np.abs(pixels[top + side // 2, left + side + 6] - 10).max() <= 2
    assert np.ptp(pixels[top + side // 2, left : left + 2].mean(axis=0)) > 50  # the coloured line of its box
    mask_target, _ = predicted(tmp_path, "a.png", task="segment", max_pixels=None, window=(512, 512))
    with Image.open(mask_target / "masks" / "a.png") as mask:
        assert mask.size == (1000, 900)


def test_without_windows_an_image_above_the_limit_is_refused(tmp_path):
    picture().crop((0, 0, 100, 90)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a.png' has 100 x 90 pixels, more than dataset.max_pixels=1000"):
        predicted(tmp_path, "a.png", task="detect", max_pixels=1000, window=None)


def test_a_mask_that_does_not_fit_into_memory_is_refused_before_any_window(tmp_path, monkeypatch):
    from visionkit.data import memory

    picture().save(tmp_path / "a.tif")
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * HEIGHT * WIDTH)
    with pytest.raises(
        UserError, match=r"a.tif' has 4,000 x 3,000 pixels, and its mask takes 46 MiB of memory, of which"
    ):
        predicted(tmp_path, "a.tif", task="segment", max_pixels=None)
