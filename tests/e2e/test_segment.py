"""Segmentation through the real command line, on small scenes of real handwriting."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from tests.helpers.paths import SHARED_DATA

SCENES = ("dataset.image_size=64", "dataset.scenes.count=[1,2]", "dataset.scenes.val=16", "dataset.scenes.test=24")
TINY = ("task=segment", "backbone=lenet", "hardware=cpu", "recipe.batch_size=8", "head.channels=[16,16]", *SCENES)
NAMES = ["background", *map(str, range(10))]
FILES = {
    "config.yaml", "metrics.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "model.safetensors",
    "environment.json", "log.txt", "per_class.csv", "confusion_matrix.csv", "plots/curves.png", "plots/train_batch.png",
    "plots/predictions.png", "plots/confusion_matrix.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(shared_runs):
    """A run that has learnt a little."""
    return shared_runs.of("segment")


@pytest.fixture(scope="module")
def scene_files(run, tmp_path_factory):
    """The test scenes as files, and the class of each of their pixels."""
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    folder = tmp_path_factory.mktemp("scenes")
    data = RunConfig.from_plain(RunFolder(run).read_config()).datamodule(None)
    data.setup("test")
    samples = data.dataset("test")
    for number in range(len(samples)):
        Image.fromarray(samples.image(number)[0].numpy()).save(folder / f"{number:03d}.png")
    return folder, np.stack([samples.mask(number).numpy() for number in range(len(samples))])


def _metrics(run):
    return json.loads((run / "metrics.json").read_text())


def _masks(folder):
    return np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())])


def test_the_run_folder_holds_pictures_and_tables_of_masks(run):
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} >= FILES
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_metrics_are_overlaps_and_losses(run):
    metrics = _metrics(run)
    names = {"test/mean_iou", "test/pixel_accuracy", "test/dice", "test/dice_loss", "test/loss", "val/mean_iou"}
    assert names <= set(metrics)
    assert 0 < metrics["test/mean_iou"] < metrics["test/dice"] < 1
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert {name for name in rows[0] if name.startswith("train/")} == {
        "train/cross_entropy", "train/dice_loss", "train/loss",
    }  # fmt: skip
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])


def test_the_best_epoch_is_the_one_with_the_best_validation_mean_iou(run):
    values = [float(row["val/mean_iou"]) for row in csv.DictReader((run / "metrics.csv").open())]
    assert _metrics(run)["best_epoch"] == values.index(max(values)) + 1


def test_classes_are_in_a_table_whose_mean_is_the_mean_iou(run, scene_files):
    rows = list(csv.DictReader((run / "per_class.csv").open()))
    assert [row["class"] for row in rows] == NAMES
    assert [int(row["pixels"]) for row in rows] == np.bincount(scene_files[1].ravel(), minlength=11).tolist()
    overlaps = [float(row["IoU"]) for row in rows if row["IoU"]]
    assert sum(overlaps) / len(overlaps) == pytest.approx(_metrics(run)["test/mean_iou"], abs=1e-6)


def test_evaluate_gives_the_numbers_of_the_run_again(cli, run):
    code, out, _ = cli("evaluate", f"run={run}", "format=json")
    assert code == 0
    for name, value in json.loads(out)["metrics"].items():
        assert value == pytest.approx(_metrics(run)[name], abs=1e-6), name


def test_predicted_masks_scored_by_scikit_learn_give_the_numbers_of_the_test(cli, run, scene_files, tmp_path):
    folder, truth = scene_files
    code, out, _ = cli("predict", f"run={run}", f"source={folder}", f"run_dir={tmp_path / 'out'}")
    assert code == 0
    written = [str(tmp_path / "out" / name) for name in ("predictions.json", "predictions.csv", "masks", "images")]
    assert "24 images: background " in out
    assert f"Written: {' and '.join(written)}" in out
    masks = _masks(tmp_path / "out")
    seen = np.union1d(masks, truth)
    expected = jaccard_score(truth.ravel(), masks.ravel(), average="macro", labels=seen, zero_division=0)
    assert _metrics(run)["test/mean_iou"] == pytest.approx(expected, abs=1e-6)
    rows = [row[1:] for row in csv.reader((run / "confusion_matrix.csv").open())][1:]
    assert [list(map(int, row)) for row in rows] == confusion_matrix(
        truth.ravel(), masks.ravel(), labels=range(11)
    ).tolist()
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [entry["name"] for entry in document["classes"]] == NAMES
    assert len(list((tmp_path / "out" / "images").iterdir())) == 24


def test_predict_takes_images_of_any_size_and_leaves_unreadable_ones_out(cli, run, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (500, 120), "white").save(photos / "wide.jpg")
    Image.new("L", (9, 300), 40).save(photos / "tall.png")
    (photos / "broken.png").write_bytes(b"no image")
    words = ("predict", f"run={run}", f"source={photos}")
    for name, more in (("whole", ()), ("windows", ("window=64", "overlap=0.5")), ("auto", ("window=auto",))):
        target = tmp_path / name
        code, out, _ = cli(*words, *more, f"run_dir={target}", "format=json")
        document = json.loads(out)
        assert code == 0
        assert [Path(path).name for path in document["unreadable"]] == ["broken.png"]
        assert [Image.open(target / row["mask"]).size for row in document["predictions"]] == [(9, 300), (500, 120)]
        assert [sum(row["pixels"].values()) for row in document["predictions"]] == [2_700, 60_000]
    code, _, err = cli(*words, "strict=true", f"run_dir={tmp_path / 'out2'}")
    assert (code, (tmp_path / "out2").exists()) == (2, False)
    assert "broken.png' cannot be read" in err


def test_one_window_around_the_whole_image_predicts_as_without(cli, run, scene_files, tmp_path):
    source = f"source={scene_files[0]}/00?.png"
    for name, more in (("whole", ()), ("window", ("window=64",))):
        assert cli("predict", f"run={run}", source, f"run_dir={tmp_path / name}", *more)[0] == 0
    assert np.array_equal(_masks(tmp_path / "whole"), _masks(tmp_path / "window"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("window=0",),
            "up to 65,536 or [height, width] or auto, found 0. Try 512 or [512,512].",
        ),
        (
            ("window=[1,2,3]",),
            "up to 65,536 or [height, width] or auto, found [1, 2, 3]. Try 1 or [1,2].",
        ),
        (("overlap=0.5",), "overlap: found 0.5, but there are no windows that could overlap. Try: window=512"),
        (("window=64", "overlap=2"), "overlap: expected a number from 0 to 0.9, found '2'. Try: overlap=0.25"),
        (("min_score=0.5",), "min_score: found 0.5, but this run segments: every pixel gets its most likely class."),
    ],
)
def test_a_wish_that_cannot_be_met_says_what_to_type(cli, run, words, said):
    code, _, err = cli("predict", f"run={run}", f"source={run / 'plots'}", *words)
    assert code == 2
    assert said in err
    assert not (run / "predictions").exists()


def test_the_user_chooses_head_and_recipe_whatever_the_task_prefers(cli, in_empty_folder):
    words = ("dataset.scenes.train=16", "head=fpn", "recipe=adam", "debug=fast")
    assert cli(*words, *(word for word in TINY if "head" not in word))[0] == 0
    (folder,) = (in_empty_folder / "runs" / "segment-lenet-digits").iterdir()
    config = (folder / "config.yaml").read_text()
    assert "type: fpn" in config
    assert "type: adam\n" in config


def test_class_weights_are_counted_in_the_training_masks_and_every_loss_has_its_number(cli, in_empty_folder):
    words = ("dataset.scenes.train=16", "head=fcn", "head.class_weights=balanced", "head.auxiliary={weight: 0.4}",
             "head.loss={cross_entropy: 0.5, dice: 1.0, focal: 1.0}", "debug=fast", "run_dir=run")  # fmt: skip
    assert cli(*words, *(word for word in TINY if "head" not in word))[0] == 0
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    samples = RunConfig.from_plain(RunFolder(Path("run")).read_config()).source.splits(seed=0).samples["train"]
    pixels = np.concatenate([samples.mask(number).numpy().ravel() for number in range(len(samples))])
    counts = np.bincount(pixels, minlength=11)
    present = counts > 0
    expected = np.where(present, counts.sum() / (present.sum() * counts.clip(min=1)), 0)
    assert json.loads(Path("run/data.json").read_text())["class_weights"] == pytest.approx(expected.tolist())
    metrics = _metrics(Path("run"))
    terms = [metrics[f"test/{name}"] for name in ("cross_entropy", "dice_loss", "focal")]
    assert sum(terms) == pytest.approx(metrics["test/loss"], rel=1e-4)
    assert "train/auxiliary" in Path("run/metrics.csv").read_text().splitlines()[0]
    assert min(terms) > 0


def test_a_head_of_another_task_says_which_ones_fit(cli, in_empty_folder):
    code, _, err = cli("head=fcos", "task=segment")
    assert code == 2
    assert "head 'fcos' serves task 'detect', not 'segment'. Heads for 'segment': deeplabv3" in err


def test_a_data_set_without_masks_says_which_ones_have_some(cli, in_empty_folder):
    code, _, err = cli("task=segment", "dataset=mnist")
    assert code == 2
    assert "but task 'segment' needs masks" in err.replace("needs mask.", "needs masks.")
    assert "digits" in err


@pytest.mark.slow
def test_several_processes_score_as_one(cli, run):
    """All but the losses, which are means over the pixels of a batch, and batches are others."""
    code, out, _ = cli("evaluate", f"run={run}", "hardware.devices=2", "recipe.batch_size=10", "format=json")
    assert code == 0
    numbers = json.loads(out)["metrics"]
    for name in ("test/mean_iou", "test/pixel_accuracy", "test/dice"):
        assert numbers[name] == pytest.approx(_metrics(run)[name], abs=1e-9), name


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED_DATA / "camvid").is_dir(), reason="CamVid is not in shared/data")
def test_camvid_is_trained_on_and_its_void_is_never_counted(cli, tmp_path):
    words = ("dataset=camvid", f"dataset.root={SHARED_DATA / 'camvid'}", "dataset.image_size=[96,128]", "debug=fast")
    code, _, err = cli(
        "task=segment", "backbone=resnet18", *words, "recipe.batch_size=4", f"run_dir={tmp_path / 'run'}"
    )
    assert (code, err) == (0, "")
    rows = list(csv.DictReader((tmp_path / "run" / "per_class.csv").open()))
    assert [row["class"] for row in rows][:2] == ["sky", "building"]
    assert len(rows) == 11
    pixels = sum(int(row["pixels"]) for row in rows)
    assert 0 < pixels < 16 * 360 * 480  # of four batches of original size, all but void
