"""The `Predictor` of an exported file, which has nothing beside it."""

import json

import numpy
import pytest
from PIL import Image

import visionkit as vk
from tests.helpers.onnx_files import write_onnx


def grey(height, width, seed=0):
    return numpy.random.default_rng(seed).integers(0, 256, (height, width), dtype=numpy.uint8)


def test_a_classifier_gives_names_and_probabilities_of_the_resized_image(tmp_path):
    model = vk.load(write_onnx(tmp_path / "shipped.onnx"))
    assert (model.task, model.class_names, model.category_ids) == ("classify", ("cat", "dog"), (3, 7))
    assert (model.image_size, str(model.device), model.path) == ((4, 4), "cpu", tmp_path / "shipped.onnx")
    prediction = model.predict(numpy.full((10, 12), 100, dtype=numpy.uint8))
    expected = 1 / (1 + numpy.exp(-1.6))
    assert (prediction.label, prediction.size) == ("cat", (10, 12))
    assert prediction.score == pytest.approx(expected, abs=1e-6)
    json.dumps(prediction.to_dict())


def test_files_folders_and_streams_are_taken_as_of_a_run(tmp_path):
    write_onnx(tmp_path / "onnx" / "model.onnx")
    for number in range(3):
        Image.fromarray(grey(6, 6, number)).save(tmp_path / f"{number}.png")
    model = vk.load(str(tmp_path / "onnx"))  # the folder of an export
    whole = [prediction.probabilities.tolist() for prediction in model.predict(str(tmp_path / "*.png"))]
    alone = [model.predict(tmp_path / f"{number}.png").probabilities.tolist() for number in range(3)]
    numpy.testing.assert_allclose(whole, alone, rtol=0, atol=1e-6)
    model.predict(tmp_path / "0.png").save(tmp_path / "out.jpg")
    assert Image.open(tmp_path / "out.jpg").mode == "RGB"


def test_boxes_are_in_pixels_of_the_image_and_objects_beyond_the_limit_are_cut(tmp_path):
    file = write_onnx(tmp_path / "a.onnx", "detect")
    prediction = vk.load(file).predict(grey(8, 16))  # 2 x 4 in the letterbox
    assert prediction.boxes.tolist() == [[4, 0, 12, 8], [0, 0, 4, 4]]
    assert prediction.names == ["dog", "cat"]
    assert prediction.scores.tolist() == pytest.approx([0.9, 0.4])
    model = vk.load(file, max_detections=1)
    assert model.predict(grey(8, 16)).names == ["dog"]
    assert [finding.code for finding in model.findings] == ["objects-cut"]


@pytest.mark.parametrize("window", [None, "auto"])
def test_an_image_whose_boxes_the_file_has_not_chosen_among_to_the_end_is_said(tmp_path, window):
    """Suppression is exact of images whose first pixel is 0."""
    exact = """
            corner = Slice(images, starts, ends, axes)
            number = Cast<to: int = 6>(corner)
            flat = Squeeze(number, axes)
            none = Cast<to: int = 6>(zero)
            converged = Equal(flat, none)
            shape = Shape(images)"""
    constants = "int64[3] starts = {0, 0, 0}, int64[3] ends = {1, 1, 1}, int64[3] axes = {1, 2, 3}, int64[1] zero"
    file = write_onnx(
        tmp_path / "a.onnx", "detect",
        replace=[
            (r"\n *shape = Shape\(images\)", exact), ("int64.1. zero", constants), ("number = Slice", "count = Slice"),
            ("number, one\\)", "count, one)"), ("number, one, one", "count, one, one"),
            (r"\[batch,3\] labels\)", "[batch,3] labels, bool[batch] converged)"),
        ],
    )  # fmt: skip
    model = vk.load(file, window=window)
    model.predict(numpy.zeros((4, 4), dtype=numpy.uint8))
    assert model.findings == []
    prediction = model.predict(numpy.full((4, 4), 9, dtype=numpy.uint8))
    assert [finding.code for finding in model.findings] == ["suppression-cut"]
    assert prediction.names == ["dog", "cat"]


def test_instances_have_masks_in_pixels_of_the_image(tmp_path):
    prediction = vk.load(write_onnx(tmp_path / "a.onnx", "instance")).predict(grey(8, 16))
    boxes = numpy.zeros((2, 8, 16), dtype=bool)
    boxes[0, 0:8, 4:12] = boxes[1, 0:4, 0:4] = True
    masks = numpy.asarray(prediction.masks)
    assert not (masks & ~boxes).any()
    assert masks.sum(axis=(1, 2)).tolist() == [64 - 4, 16]  # a small mask fades in the corners of its box


def test_an_image_has_the_labels_of_at_least_the_least_score(tmp_path):
    file, image = write_onnx(tmp_path / "a.onnx", task="multilabel"), numpy.full((4, 4), 100, dtype=numpy.uint8)
    assert vk.load(file).predict(image).labels == ["cat"]  # 0.83 and 0.17
    assert vk.load(file, min_score=0.1).predict(image).labels == ["cat", "dog"]


def test_masks_are_those_of_the_pixels_whole_and_by_windows(tmp_path):
    file, image = write_onnx(tmp_path / "a.onnx", "segment"), grey(9, 13)
    assert (vk.load(file).predict(image[:4, :4]).mask == (image[:4, :4] > 127)).all()
    by_windows = vk.load(file, window="auto", overlap=0.5).predict(image)
    assert (by_windows.mask == (image > 127)).all()


def test_a_range_of_values_is_read_as_black_and_white_also_by_a_file_of_eight_bits(tmp_path):
    model = vk.load(write_onnx(tmp_path / "a.onnx", "segment"), value_range=[0, 1000])
    image = numpy.full((4, 4), 400, dtype=numpy.uint16)
    image[0] = 600
    assert model.predict(image).mask.tolist() == [[1] * 4, *[[0] * 4] * 3]


def test_the_limit_of_pixels_is_that_of_the_file_or_the_callers(tmp_path):
    file = write_onnx(tmp_path / "a.onnx", max_pixels=30)
    Image.fromarray(grey(6, 6)).save(tmp_path / "a.png")
    with pytest.raises(vk.UserError, match="6 x 6 pixels, more than max_pixels=30"):
        vk.load(file).predict(tmp_path / "a.png")
    assert vk.load(file, max_pixels=36).predict(tmp_path / "a.png").label == "cat"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"device": "gpu"},
            r"device: found \"gpu\", and an ONNX file is computed by onnxruntime on the CPU. Leave it ",
        ),
        ({"precision": "bf16"}, r"precision: found \"bf16\", and an exported file has the precision"),
        ({"head": object()}, "head: an exported file holds its whole network, and takes no head. Leave it out."),
        ({"plugins": ["mine"]}, "plugins: an exported file holds its whole network, and takes no plugins"),
        ({"max_detections": 4}, "max_detections: found 4, and the file gives at most 3 objects of an image"),
    ],
)
def test_what_a_file_does_not_take_is_told(tmp_path, words, message):
    file = write_onnx(tmp_path / "a.onnx", "detect")
    with pytest.raises(vk.UserError, match=message):
        vk.load(file, **words)


def test_words_that_say_what_a_file_does_anyway_are_taken(tmp_path):
    model = vk.load(write_onnx(tmp_path / "a.onnx", "detect"), device="cpu", precision="32", max_detections=3)
    assert model.inference.max_detections == 3


def test_a_classifier_has_no_windows_whether_it_is_a_run_or_a_file(tmp_path):
    with pytest.raises(vk.UserError, match=r"window: found .4, 4., but this run classifies"):
        vk.load(write_onnx(tmp_path / "a.onnx"), window=4)


def test_raw_outputs_alone_are_no_predictions(tmp_path):
    file = write_onnx(tmp_path / "a.onnx", decode=False)
    with pytest.raises(vk.UserError, match=r"as it was exported with decode=false. Expected predictions. Export it"):
        vk.load(file)


def test_without_onnxruntime_the_line_that_installs_it_is_told(tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *r: None if name == "onnxruntime" else found(name, *r)
    )
    with pytest.raises(vk.UserError, match=r'Try: pip install "visionkit\[onnx\]"'):
        vk.load(write_onnx(tmp_path / "a.onnx"))


def test_the_command_predicts_with_a_file_alone(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / "shipped.onnx", "detect")
    (tmp_path / "photos").mkdir()
    Image.fromarray(grey(8, 16)).save(tmp_path / "photos" / "a.png")
    code, out, err = cli("predict", "run=shipped.onnx", "source=photos/", "format=json", "run_dir=results")
    assert code == 0, err
    boxes = json.loads(out)["predictions"]
    assert json.loads(out)["folder"] == "results"
    assert [box["bbox"] for box in boxes] == [[4, 0, 8, 8], [0, 0, 4, 4]]
    assert [box["category_id"] for box in boxes] == [7, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "run=a.onnx", "source=.", "hardware=gpu"), "predict takes an exported file as it is"),
        (("predict", "run=a.onnx", "source=a.png", "window=64"), "window: found [64, 64], but this run classifies"),
        (("predict", "run=a.onnx", "source=a.png", "strict=no"), "strict: expected true or false, found 'no'"),
        (("predict", "run=a.onnx"), "predict needs images: source=IMAGE"),
        (("predict", "run=aa.onnx", "source=a.png"), "'aa.onnx' is not there. Did you mean 'a.onnx'?"),
        (("evaluate", "run=a.onnx"), "It is an exported file, which predict alone takes: predict run=FILE source=..."),
    ],
)  # fmt: skip
def test_what_a_command_does_not_take_with_a_file_is_told(cli, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / "a.onnx")
    Image.fromarray(grey(8, 16)).save(tmp_path / "a.png")
    code, _, err = cli(*words)
    assert (code, message in err) == (2, True), err
    assert not (tmp_path / "predictions").exists()
