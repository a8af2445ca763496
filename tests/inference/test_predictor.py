"""The model of a run on a person's images, in every form they come in; numbers are those of the run's own test."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import visionkit as vk
from visionkit.errors import UserError

TASKS = ("classify", "detect", "segment", "instance")


@pytest.fixture(scope="module")
def predictors(shared_runs):
    """The predictor of each task's run, loaded once."""
    loaded = {}

    def load(task):
        if task not in loaded:
            loaded[task] = vk.load(shared_runs.of(task))
        return loaded[task]

    return load


@pytest.fixture(scope="module")
def samples(shared_runs):
    """The test split of each task's run."""
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    opened = {}

    def open_split(task):
        if task not in opened:
            config = RunConfig.from_plain(RunFolder(shared_runs.of(task)).read_config())
            datamodule = config.datamodule(None)
            datamodule.prepare_data()
            datamodule.setup("test")
            opened[task] = datamodule.dataset("test")
        return opened[task]

    return open_split


def metrics(run):
    return json.loads((run / "metrics.json").read_text())


def values(prediction):
    """What a prediction says, as plain values that can be compared."""
    return {name: value for name, value in prediction.to_dict().items() if name != "file"}


@pytest.mark.parametrize("task", TASKS)
def test_an_image_is_one_whatever_form_it_comes_in(predictors, samples, tmp_path, task):
    model, pixels = predictors(task), samples(task).image(0)
    array = pixels.permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    picture.save(tmp_path / "a.png")
    expected = values(model.predict(tmp_path / "a.png"))
    forms = [str(tmp_path / "a.png"), picture, Image.open(tmp_path / "a.png"), array, pixels]
    assert all(values(model.predict(form)) == expected for form in forms)


def test_several_images_are_a_list_and_an_iterator_is_one(predictors, samples, tmp_path):
    model, split = predictors("classify"), samples("classify")
    for number in range(3):
        Image.fromarray(split.image(number)[0].numpy()).save(tmp_path / f"{number}.png")
    pixels = [split.image(number) for number in range(3)]
    expected = [model.predict(image).probabilities.tolist() for image in pixels]
    several = (
        tmp_path,
        str(tmp_path / "*.png"),
        pixels,
        torch.stack(pixels),
        torch.stack(pixels).permute(0, 2, 3, 1).numpy(),
    )
    for images in several:
        found = [prediction.probabilities for prediction in model.predict(images)]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    stream = model.predict(iter(pixels))
    assert next(stream).label == model.predict(pixels[0]).label
    assert len(list(stream)) == 2


def test_a_generator_is_asked_for_one_batch_at_a_time(predictors, samples):
    model, image, asked = predictors("classify"), samples("classify").image(0), []

    def endless():
        while True:
            asked.append(1)
            yield image

    stream = model.predict(endless())
    for _ in range(model.batch_size + 1):
        next(stream)
    assert len(asked) == 2 * model.batch_size


@pytest.mark.parametrize("failing", ["iterator", "image"])
def test_what_came_before_a_failure_is_kept(predictors, samples, failing):
    model, image = predictors("classify"), samples("classify").image(0)

    def images():
        yield image
        yield image
        if failing == "iterator":
            raise RuntimeError("the camera is gone")
        yield "nowhere.png"

    stream, kept = model.predict(images()), []
    with pytest.raises(RuntimeError if failing == "iterator" else UserError, match=r"the camera is gone|nowhere\.png"):
        kept.extend(iter(lambda: next(stream), None))
    assert len(kept) == 2


def test_accuracy_of_the_predictions_is_that_of_the_test(predictors, samples, shared_runs):
    split = samples("classify")
    found = [p.class_id for p in predictors("classify").stream(split.image(i) for i in range(len(split)))]
    accuracy = float(np.mean(np.asarray(found) == np.asarray(split.labels)))
    assert accuracy == pytest.approx(metrics(shared_runs.of("classify"))["test/accuracy"], abs=1e-7)  # a float32


def test_mean_iou_of_the_predictions_is_that_of_the_test(predictors, samples, shared_runs):
    split = samples("segment")
    counts = np.zeros((11, 11))
    for number, prediction in enumerate(predictors("segment").stream(split.image(i) for i in range(len(split)))):
        truth = split.mask(number).numpy()
        known = truth < 11
        np.add.at(counts, (truth[known], prediction.mask[known]), 1)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    occurs = counts.sum(1) > 0
    mean = float((counts.diagonal()[occurs] / union[occurs]).mean())
    assert mean == pytest.approx(metrics(shared_runs.of("segment"))["test/mean_iou"], abs=1e-6)


@pytest.mark.parametrize(("task", "kind"), [("detect", "bbox"), ("instance", "segm")])
def test_average_precision_of_the_predictions_is_that_of_the_test(predictors, samples, shared_runs, capfd, task, kind):
    split, results, annotations = samples(task), [], []
    images = [{"id": i, "height": 64, "width": 64} for i in range(len(split))]
    for i, prediction in enumerate(predictors(task).stream(split.image(i) for i in range(len(split)))):
        results += prediction.to_coco(image_id=i)
        truth = split.annotation(i)
        masks = truth.rles(64, 64) if task == "instance" else [None] * len(truth.labels)
        for box, label, mask in zip(truth.boxes.tolist(), truth.labels.tolist(), masks, strict=True):
            left, top, right, bottom = box
            area = (right - left) * (bottom - top) if mask is None else float(coco_mask.area(mask))
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i, "category_id": label, "iscrowd": 0, "area": area,
                 "bbox": [left, top, right - left, bottom - top], **({} if mask is None else {"segmentation": mask})}
            )  # fmt: skip
    truth = COCO()
    truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": k} for k in range(10)]}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capfd.readouterr()
    assert evaluation.stats[0] == pytest.approx(metrics(shared_runs.of(task))["test/map"], abs=2e-4)


def test_objects_are_arrays_in_pixels_of_the_image(predictors, samples):
    prediction = predictors("instance").predict(samples("instance").image(1))
    count = len(prediction)
    assert count > 0
    assert (prediction.boxes.shape, prediction.boxes.dtype) == ((count, 4), np.float32)
    assert (prediction.scores.shape, prediction.labels.dtype) == ((count,), np.int64)
    assert (prediction.masks.shape, prediction.masks.dtype) == ((count, 64, 64), bool)
    assert prediction.names == [prediction.class_names[label] for label in prediction.labels]
    assert prediction.boxes.min() >= 0
    assert prediction.boxes.max() <= 64
    assert (np.diff(prediction.scores) <= 0).all()


def test_a_mask_is_given_as_run_lengths_that_give_it_back(predictors, samples):
    prediction = predictors("segment").predict(samples("segment").image(0))
    runs = np.reshape(prediction.to_dict()["runs"], (-1, 2))
    assert np.array_equal(np.repeat(runs[:, 0], runs[:, 1]).reshape(64, 64), prediction.mask)
    assert sum(prediction.pixels.values()) == 64 * 64


def test_the_most_probable_classes_come_first(predictors, samples):
    prediction = predictors("classify").predict(samples("classify").image(0))
    top = prediction.top(3)
    assert top[0] == (prediction.label, pytest.approx(prediction.score))
    assert [score for _, score in top] == sorted(prediction.probabilities.tolist(), reverse=True)[:3]


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_is_drawn_and_saved(predictors, samples, tmp_path, task):
    prediction = predictors(task).predict(samples(task).image(0))
    for name in ("a.jpg", "b.PNG"):
        prediction.save(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == "RGB"
            assert min(picture.size) >= 200
    with pytest.raises(UserError, match=r"save: '.*a.gif' ends in '.gif'. Expected .png or .jpg"):
        prediction.save(tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 40, 30), np.uint8), r"has the shape \(3, 40, 30\).*Try: image.transpose\(1, 2, 0\)"),
        (torch.zeros(40, 30, 3, dtype=torch.uint8), r"has the shape \(40, 30, 3\).*Try: image.permute\(2, 0, 1\)"),
        (np.zeros((40, 30)), "values of floats, and the run was trained on images of 8 bits"),
        (np.zeros((0, 30), np.uint8), "of at least one pixel"),
        (np.zeros((40, 30, 5), np.uint8), "has 5 channels, and the model takes 1"),
        (7, "found a int, expected a path"),
        ({"a": 1}, "found a dict, expected a path"),
        ([7], "image 1 is a int"),
        ("https://example.org/a.jpg", "is an address, and nothing is fetched"),
        ("nowhere.jpg", "there is no file or folder 'nowhere.jpg'"),
    ],
)
def test_what_is_no_image_is_said(predictors, image, message):
    with pytest.raises(UserError, match=message):
        predictors("classify").predict(image)


def test_an_image_in_memory_stays_as_it_is(predictors, tmp_path):
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "a.jpg", exif=_turned())
    picture = Image.open(tmp_path / "a.jpg")
    predictors("classify").predict(picture)
    assert (picture.size, picture.mode, picture.format) == ((256, 256), "RGB", "JPEG")


def test_a_turned_photo_is_turned_in_memory_as_in_a_file(predictors, tmp_path):
    pixels = Image.linear_gradient("L").resize((64, 40)).convert("RGB")
    for name in ("a.jpg", "a.png", "a.tif"):
        pixels.save(tmp_path / name, exif=_turned(), **({"quality": 100} if name == "a.jpg" else {}))
        from_file = predictors("classify").predict(tmp_path / name)
        in_memory = predictors("classify").predict(Image.open(tmp_path / name))
        assert in_memory.size == from_file.size == (64, 40)
        np.testing.assert_allclose(in_memory.probabilities, from_file.probabilities, atol=0.02)


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_threads_share_a_predictor(predictors, samples):
    model, split = predictors("detect"), samples("detect")
    expected = [values(model.predict(split.image(i))) for i in range(6)]
    found = [None] * 6

    def work(number):
        found[number] = values(model.predict(split.image(number)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_half_precision_is_near_to_full(shared_runs, predictors, samples):
    image = samples("classify").image(0)
    half = vk.load(shared_runs.of("classify"), precision="bf16", device="cpu").predict(image)
    np.testing.assert_allclose(half.probabilities, predictors("classify").predict(image).probabilities, atol=0.03)


def test_weights_of_any_name_beside_the_files_of_a_run_stand_for_it(shared_runs, predictors, samples, tmp_path):
    image, other = samples("classify").image(0), tmp_path / "mine" / "digits v2.safetensors"
    other.parent.mkdir()
    for name in ("config.yaml", "data.json"):
        shutil.copy(shared_runs.of("classify") / name, other.parent / name)
    shutil.copy(shared_runs.of("classify") / "model.safetensors", other)
    expected = values(predictors("classify").predict(image))
    assert values(vk.load(other).predict(image)) == expected
    assert values(vk.load(str(shared_runs.of("classify") / "model.safetensors")).predict(image)) == expected


def test_weights_of_the_name_are_loaded_and_not_those_beside_them(shared_runs, samples, tmp_path):
    from safetensors.torch import load_file, save_file

    run = shutil.copytree(shared_runs.of("classify"), tmp_path / "run")
    zeros = {name: torch.zeros_like(value) for name, value in load_file(run / "model.safetensors").items()}
    save_file(zeros, run / "zeros.safetensors")
    found = vk.load(run / "zeros.safetensors").predict(samples("classify").image(0)).probabilities
    np.testing.assert_allclose(found, np.full(10, 0.1), atol=1e-6)
    save_file({"head.weight": torch.zeros(1)}, run / "foreign.safetensors")
    with pytest.raises(UserError, match=r"foreign.safetensors"):
        vk.load(run / "foreign.safetensors")


def test_a_picture_is_not_saved_over_its_image(predictors, samples, tmp_path):
    Image.fromarray(samples("classify").image(0)[0].numpy()).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(UserError, match=r"a.png' is the image itself, which would be lost. Expected another file"):
        predictors("classify").predict(tmp_path / "a.png").save(tmp_path / "." / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_is_a_table_of_pandas(predictors, samples, task):
    pytest.importorskip("pandas")
    prediction = predictors(task).predict(samples(task).image(1))
    frame = prediction.to_pandas()
    if task == "classify":
        assert frame.sort_values("probability")["class"].iloc[-1] == prediction.label
        assert frame["probability"].sum() == pytest.approx(1, abs=1e-5)
    elif task == "segment":
        assert dict(zip(frame["class"], frame["pixels"], strict=True)) == prediction.pixels
        assert frame["share"].sum() == pytest.approx(1)
    else:
        assert frame[["left", "top", "right", "bottom"]].to_numpy().tolist() == prediction.boxes.tolist()
        assert frame["class"].tolist() == prediction.names


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_is_one_of_supervision(predictors, samples, task):
    pytest.importorskip("supervision")
    prediction = predictors(task).predict(samples(task).image(1))
    found = prediction.to_supervision()
    if task == "classify":
        assert found.get_top_k(1)[0].tolist() == [prediction.class_id]
    elif task == "segment":
        counts = dict(zip(found.data["class_name"].tolist(), found.mask.sum(axis=(1, 2)).tolist(), strict=True))
        assert counts == prediction.pixels
    else:
        assert np.array_equal(found.xyxy, prediction.boxes)
        assert found.data["class_name"].tolist() == prediction.names
        assert task == "detect" or np.array_equal(found.mask, prediction.masks)


def test_packages_that_are_not_installed_are_named(predictors, samples, monkeypatch):
    import sys

    for name in ("pandas", "supervision"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UserError, match=rf"needs the package '{name}', which is not installed. pip install {name}"):
            getattr(predictors("classify").predict(samples("classify").image(0)), f"to_{name}")()


def test_an_iterator_leaves_nothing_in_memory(predictors, samples):
    import gc
    import weakref

    model, image, alive = predictors("classify"), samples("classify").image(0).numpy()[0], []

    def images():
        for _ in range(6 * model.batch_size):
            pixels = image.copy()
            alive.append(weakref.ref(pixels))
            yield pixels
            del pixels

    most = 0
    for _ in model.predict(images()):
        gc.collect(0)
        most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 2 * model.batch_size


@pytest.mark.slow
def test_loading_and_a_first_prediction_import_no_training(shared_runs, tmp_path):
    import subprocess
    import sys

    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    code = "import sys, visionkit as vk; p = vk.load(sys.argv[1]).predict(sys.argv[2]); print(p.label); "
    heavy = {"lightning", "hydra", "omegaconf", "torchmetrics", "torchvision", "matplotlib"}
    code += f"print(sorted({heavy} & {{*sys.modules}}))"
    words = [sys.executable, "-c", code, str(shared_runs.of("classify")), str(tmp_path / "a.png")]
    label, modules = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert label in list("0123456789")
    assert modules == "[]"


def _closed():
    image = Image.new("L", (4, 4))
    image.close()
    return image


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 8, 8, dtype=torch.uint8, device="meta"), "device meta, which has no values"),
        (Image.new("RGB", (0, 4)), "the size 0x4. Expected at least one pixel"),
        (_closed(), "the image cannot be read: .*Expected an open and whole image"),
        ("x" * 5000, "there is no file or folder"),
        ([Path(f"{'x' * 300}.png")], "there is no file or folder"),
        ("~nobody_of_this_name/a.png", "stands for the home folder of a user"),
        ("a\0.png", "has a character of the code 0"),
    ],
)
def test_what_holds_no_image_is_a_user_error(images, message, predictors):
    with pytest.raises(UserError, match=message):
        predictors("classify").predict(images)


def test_a_sparse_image_is_that_of_its_values(predictors, samples):
    image = samples("classify").image(0)
    model = predictors("classify")
    assert model.predict(image.to_sparse()).score == model.predict(image).score
