"""What segmentation draws and writes: masks as files of ids, overlays, and a file that says what the ids mean."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.helpers.predictions import Results, draw_predictions
from visionkit.data.dataset import ImageDataset
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions

CLASSES = ("background", "cat", "dog")


class _Model(nn.Module):
    """Bright pixels are dogs, half-bright ones cats."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, images, image_sizes):
        assert images.dtype == torch.uint8
        self.seen.append(tuple(images.shape))
        grey = images.float().mean(dim=1)
        return {"logits": torch.stack([-((grey - center) ** 2) for center in (0, 120, 240)], dim=1) / 100}


def _image(height, width):
    """Its left third is dark, the next half-bright, the last bright."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, :, width // 3 : 2 * width // 3] = 120
    image[:, :, 2 * width // 3 :] = 240
    return image


def _thirds(height, width):
    return (_image(height, width)[0] // 120).numpy()


def _results(tmp_path, names, *, transform=None, precision="32", options=None, **data):
    paths = [tmp_path / name for name in names]
    return Results(
        "segment",
        _Model(),
        transform or InputTransform((48, 48), "letterbox"),
        {"class_names": CLASSES, "image_size": [48, 48], **data},
        target=tmp_path / "out",
        paths=paths,
        precision=precision,
        options=options or PredictOptions(),
    ), paths


def _take(results, paths, images):
    results.take(paths, images)
    results.write()


def _mask(path):
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.asarray(image)


def test_masks_have_the_size_of_the_image_and_the_ids_of_the_classes(tmp_path):
    results, paths = _results(tmp_path, ("a.jpg", "in/b.png"))
    _take(results, paths, [_image(90, 120), _image(48, 48)])
    mask = _mask(tmp_path / "out" / "masks" / "a.png")
    assert mask.shape == (90, 120)
    assert (mask == _thirds(90, 120)).mean() > 0.98  # but where resizing has blurred the edges
    assert np.array_equal(_mask(tmp_path / "out" / "masks" / "in" / "b.png"), _thirds(48, 48))
    assert sorted(str(p.relative_to(tmp_path / "out" / "images")) for p in (tmp_path / "out" / "images").rglob("*.*g"))\
        == ["a.jpg", "in/b.png"]  # fmt: skip
    assert results.model.seen == [(2, 3, 48, 48)]


def test_the_json_says_what_the_ids_mean_and_counts_pixels(tmp_path):
    results, paths = _results(tmp_path, ("a.jpg",))
    _take(results, paths, [_image(48, 48)])
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [(entry["id"], entry["name"]) for entry in document["classes"]] == list(enumerate(CLASSES))
    assert document["images"] == results.rows == [
        {"file_name": str(paths[0]), "mask": "masks/a.png", "pixels": dict.fromkeys(CLASSES, 768)}
    ]  # fmt: skip
    assert results.lines() == [
        f"{paths[0]}: background 33.3%, cat 33.3%, dog 33.3%",
        "1 image: background 33.3%, cat 33.3%, dog 33.3%",
    ]


def test_masks_keep_the_numbers_that_the_data_set_gives_its_classes(tmp_path):
    results, paths = _results(tmp_path, ("a.jpg",), category_ids=[4, 0, 90])
    _take(results, paths, [_image(48, 48)])
    assert np.array_equal(_mask(tmp_path / "out" / "masks" / "a.png"), np.array([4, 0, 90])[_thirds(48, 48)])
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [entry["id"] for entry in document["classes"]] == [4, 0, 90]


def test_ids_that_are_texts_give_way_to_the_ids_of_the_classes(tmp_path):
    results, paths = _results(tmp_path, ("a.jpg",), category_ids=[0, "cat", 90])
    _take(results, paths, [_image(48, 48)])
    assert np.array_equal(_mask(tmp_path / "out" / "masks" / "a.png"), _thirds(48, 48))


def test_numbers_too_large_for_a_byte_give_way_to_the_ids_of_the_classes(tmp_path):
    results, paths = _results(tmp_path, ("a.jpg",), category_ids=[1, 2, 255])
    _take(results, paths, [_image(48, 48)])
    assert np.array_equal(_mask(tmp_path / "out" / "masks" / "a.png"), _thirds(48, 48))


def test_images_that_differ_in_their_suffix_alone_have_masks_of_their_own(tmp_path):
    results, paths = _results(tmp_path, ("a.jpg", "a.png", "b.webp"))
    _take(results, paths, [_image(48, 48)] * 3)
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["a.jpg.png", "a.png.png", "b.png"]
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["a.jpg", "a.png", "b.webp.png"]


@pytest.mark.parametrize("window", [(48, 48), "auto"])
def test_large_images_are_looked_at_by_windows_of_their_own_pixels(tmp_path, window):
    results, paths = _results(tmp_path, ("a.png",), options=PredictOptions(window=window, overlap=0.5))
    _take(results, paths, [_image(150, 90)])
    assert np.array_equal(_mask(tmp_path / "out" / "masks" / "a.png"), _thirds(150, 90))
    assert {shape[1:] for shape in results.model.seen} == {(3, 48, 48)}
    assert max(shape[0] for shape in results.model.seen) <= 4


def test_windows_are_brought_to_the_size_that_the_model_was_trained_at(tmp_path):
    results, paths = _results(
        tmp_path, ("a.png",), transform=InputTransform((24, 24), "letterbox"), options=PredictOptions(window=(96, 48))
    )
    _take(results, paths, [_image(200, 90)])
    assert {shape[1:] for shape in results.model.seen} == {(3, 24, 24)}
    assert (_mask(tmp_path / "out" / "masks" / "a.png") == _thirds(200, 90)).mean() > 0.93


def test_an_image_that_is_smaller_than_the_window_is_taken_whole(tmp_path):
    whole, paths = _results(tmp_path, ("a.png",))
    _take(whole, paths, [_image(30, 40)])
    before = _mask(tmp_path / "out" / "masks" / "a.png").copy()
    by_window, _ = _results(tmp_path, ("a.png",), options=PredictOptions(window=(512, 512)))
    _take(by_window, paths, [_image(30, 40)])
    assert np.array_equal(before, _mask(tmp_path / "out" / "masks" / "a.png"))


def test_reduced_precision_still_blends_in_full(tmp_path):
    results, paths = _results(tmp_path, ("a.png",), precision="bf16", options=PredictOptions(window=(48, 48)))
    _take(results, paths, [_image(90, 90)])
    assert np.array_equal(_mask(tmp_path / "out" / "masks" / "a.png"), _thirds(90, 90))


def test_min_score_is_refused_where_every_pixel_has_a_class(tmp_path):
    with pytest.raises(UserError, match=r"min_score: found 0\.5, but this run segments.*Leave it out"):
        _results(tmp_path, ("a.png",), options=PredictOptions(min_score=0.5))


@pytest.mark.parametrize("task", ["classify", "multilabel"])
def test_windows_are_refused_where_what_they_show_is_not_what_the_image_shows(tmp_path, task):
    with pytest.raises(UserError, match=r"window: found auto, but .* window is for runs of task=segment, detect or"):
        Results(
        task, None, None, {"class_names": CLASSES}, target=tmp_path, paths=[tmp_path / "a"], precision="32",
            options=PredictOptions(window="auto"),
        )  # fmt: skip


class _Samples:
    """Images with masks; those that cannot be read are None."""

    def __init__(self, *images, masks=None):
        self.images, self.masks = images, masks or images

    def __len__(self):
        return len(self.images)

    def image(self, position):
        if self.images[position] is None:
            raise UserError("broken")
        return self.images[position]

    fitted = ImageDataset.fitted

    def mask(self, position):
        if self.masks[position] is None:
            raise UserError("broken")
        mask = self.masks[position][0] // 120
        mask[0] = 255
        return mask


def test_predictions_stand_beside_the_truth_and_what_does_not_count_is_clear_in_both(tmp_path):
    samples = _Samples(_image(48, 48), None, _image(48, 48), masks=(_image(48, 48), _image(48, 48), None))
    transform = InputTransform((48, 48), "letterbox")
    draw_predictions("segment", _Model(), samples, transform, CLASSES, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    panels = [pixels[56:376, left : left + 320] for left in (8, 336, 664)]
    assert pixels.shape[1] == 8 + 3 * 328  # one row of one image that could be read, mask and all
    assert np.array_equal(panels[1], panels[2])
    assert not np.array_equal(panels[0], panels[1])
    assert np.array_equal(panels[0][:5], panels[1][:5])


def test_no_readable_image_draws_nothing(tmp_path):
    draw_predictions("segment", _Model(), _Samples(None), None, CLASSES, tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []
