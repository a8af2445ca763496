"""Detection through the real command line, on small scenes of real handwriting."""

import contextlib
import csv
import io
import json

import pytest
from PIL import Image

SCENES = ("dataset.image_size=64", "dataset.scenes.count=[1,2]", "dataset.scenes.val=24", "dataset.scenes.test=24")
TINY = ("task=detect", "hardware=cpu", "recipe.batch_size=8", *SCENES)
FILES = {
    "config.yaml", "metrics.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "model.safetensors",
    "environment.json", "log.txt", "per_class.csv", "precision_recall.csv", "plots/curves.png", "plots/train_batch.png",
    "plots/predictions.png", "plots/precision_recall.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(shared_runs):
    """A run that has learnt a little."""
    return shared_runs.of("detect")


@pytest.fixture(scope="module")
def image_files(run, tmp_path_factory):
    """The test scenes as files, and what is in them in COCO's form."""
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    folder = tmp_path_factory.mktemp("scenes")
    config = RunConfig.from_plain(RunFolder(run).read_config())
    data = config.datamodule(None)
    data.setup("test")
    samples = data.dataset("test")
    rows = []
    for number in range(len(samples)):
        Image.fromarray(samples.image(number)[0].numpy()).save(folder / f"{number:03d}.png")
        truth = samples.annotation(number)
        for (left, top, right, bottom), label, area in zip(
            truth.boxes.tolist(), truth.labels.tolist(), truth.area.tolist(), strict=True
        ):
            box = [left, top, right - left, bottom - top]
            rows.append({"id": len(rows) + 1, "image_id": number, "category_id": label, "bbox": box, "area": area})
    images = [{"id": number} for number in range(len(samples))]
    categories = [{"id": number} for number in range(10)]
    return folder, {"images": images, "categories": categories, "annotations": [{**r, "iscrowd": 0} for r in rows]}


def _metrics(run):
    return json.loads((run / "metrics.json").read_text())


def test_the_run_folder_holds_pictures_and_tables_of_boxes(run):
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} >= FILES
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_metrics_are_those_of_coco_and_losses(run):
    metrics = _metrics(run)
    assert 0 < metrics["test/map"] < metrics["test/map_50"] <= 1
    assert {"test/classification", "test/boxes", "test/centerness", "test/loss", "val/map", "val/mar_100"} <= set(
        metrics
    )
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert {name for name in rows[0] if name.startswith("train/")} == {
        "train/classification", "train/boxes", "train/centerness", "train/loss",
    }  # fmt: skip
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])


def test_the_best_epoch_is_the_one_with_the_best_validation_map(run):
    maps = [float(row["val/map"]) for row in csv.DictReader((run / "metrics.csv").open())]
    assert _metrics(run)["best_epoch"] == maps.index(max(maps)) + 1


def test_classes_and_their_objects_are_in_a_table_whose_mean_is_map(run, image_files):
    rows = list(csv.DictReader((run / "per_class.csv").open()))
    assert [row["class"] for row in rows] == [str(digit) for digit in range(10)]
    assert sum(int(row["objects"]) for row in rows) == len(image_files[1]["annotations"])
    averages = [float(row["AP"]) for row in rows if row["AP"]]
    assert sum(averages) / len(averages) == pytest.approx(_metrics(run)["test/map"], abs=1e-6)


def test_evaluate_gives_the_numbers_of_the_run_again(cli, run):
    code, out, _ = cli("evaluate", f"run={run}", "format=json")
    assert code == 0
    for name, value in json.loads(out)["metrics"].items():
        assert value == pytest.approx(_metrics(run)[name], abs=1e-6), name


def test_predictions_scored_by_pycocotools_give_the_map_of_the_test(cli, run, image_files, tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    folder, dataset = image_files
    code, out, _ = cli("predict", f"run={run}", f"source={folder}", f"run_dir={tmp_path / 'out'}")
    assert code == 0
    assert "24 images, boxes with a score of 0.3 or more: " in out
    written = [str(tmp_path / "out" / name) for name in ("predictions.json", "predictions.csv", "images")]
    assert f"Written: {' and '.join(written)}" in out
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        scores = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "predictions.json")), "bbox")
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
    assert scores.stats[0] == pytest.approx(_metrics(run)["test/map"], abs=1e-3)  # the file has rounded numbers
    assert len(list((tmp_path / "out" / "images").iterdir())) == 24


def test_predict_takes_images_of_any_size_and_leaves_unreadable_ones_out(cli, run, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (500, 120), "white").save(photos / "wide.jpg")
    Image.new("L", (9, 300), 40).save(photos / "tall.png")
    (photos / "broken.png").write_bytes(b"no image")
    words = ("predict", f"run={run}", f"source={photos}")
    code, out, _ = cli(*words, "min_score=0.01", f"run_dir={tmp_path / 'out'}", "format=json")
    document = json.loads(out)
    assert code == 0
    assert list(document["unreadable"]) == [str(photos / "broken.png")]
    for row in document["predictions"]:
        left, top, width, height = row["bbox"]
        right, bottom = (500, 120) if row["image_id"] == 3 else (9, 300)
        assert min(left, top, width, height) >= 0
        assert left + width <= right + 0.01
        assert top + height <= bottom + 0.01
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["tall.png", "wide.jpg"]
    code, _, err = cli(*words, "strict=true", f"run_dir={tmp_path / 'out2'}")
    assert (code, (tmp_path / "out2").exists()) == (2, False)
    assert "broken.png' cannot be read" in err
    code, _, err = cli(*words, f"run_dir={tmp_path / 'out'}")
    assert code == 2
    assert "already holds predictions" in err


def test_out_names_a_folder_or_one_file_and_csv_is_a_table_of_boxes(cli, run, tmp_path):
    for folder, colour in (("a", 20), ("b", 220)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        Image.new("L", (70, 50), colour).save(tmp_path / "photos" / folder / "x.png")
    words = ("predict", f"run={run}", f"source={tmp_path / 'photos'}", "min_score=0")
    code, out, err = cli(*words, "format=csv", f"out={tmp_path / 'out'}")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert "Written: " in err
    assert (tmp_path / "out" / "predictions.csv").read_text() == out
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert list(rows[0]) == ["image", "label", "score", "x1", "y1", "x2", "y2"]
    assert len(rows) == len(document) > 0
    for row, entry in zip(rows, document, strict=True):
        left, top, width, height = entry["bbox"]
        assert (row["image"], row["label"]) == (entry["file_name"], entry["category_name"])
        edges = [float(row[name]) for name in ("x1", "y1", "x2", "y2")]
        assert edges == pytest.approx([left, top, left + width, top + height], abs=2e-3)
    assert sorted(path.parent.name for path in (tmp_path / "out" / "images").glob("*/x.png")) == ["a", "b"]
    photo = tmp_path / "photos" / "a" / "x.png"
    single = ("predict", f"run={run}", f"source={photo}")
    assert cli(*single, f"out={tmp_path / 'one.json'}")[0] == 0
    assert all(entry["file_name"] == str(photo) for entry in json.loads((tmp_path / "one.json").read_text()))
    assert cli(*single, f"out={tmp_path / 'one.jpg'}")[0] == 0
    assert Image.open(tmp_path / "one.jpg").format == "JPEG"
    before = photo.read_bytes()
    code, _, err = cli(*single, f"out={photo}")
    assert (code, photo.read_bytes()) == (2, before)
    assert "is there already, and is not overwritten" in err


def test_windows_are_counted_and_too_small_ones_are_refused(cli, run, tmp_path):
    Image.new("L", (2000, 1600)).save(tmp_path / "big.png")
    words = ("predict", f"run={run}", f"source={tmp_path / 'big.png'}")
    code, _, err = cli(*words, "window=8")
    assert code == 2
    assert "Expected at least [32,32]. Try: window=auto, or window=32" in err
    code, out, _ = cli(*words, "window=64", "overlap=0", f"out={tmp_path / 'o.csv'}", "max_detections=7")
    assert code == 0
    assert "800 windows were looked at" in out  # 32 columns, 25 rows
    assert len((tmp_path / "o.csv").read_text().splitlines()) <= 8


@pytest.mark.parametrize("value", ["2", "-0.1", "high", "true"])
def test_a_score_out_of_range_says_what_to_type(cli, run, value):
    code, _, err = cli("predict", f"run={run}", f"source={run / 'plots'}", f"min_score={value}")
    assert code == 2
    assert f"min_score: expected a number from 0 to 1, found '{value}'. Try: min_score=0.5" in err


def test_the_user_chooses_head_and_recipe_whatever_the_task_prefers(cli, in_empty_folder):
    small = ("head.neck.out_channels=16", "head.num_convs=1", "dataset.scenes.train=32", "debug=fast")
    assert cli("recipe=adam", "head=retinanet", *TINY, *small)[0] == 0
    (folder,) = (in_empty_folder / "runs" / "detect-lenet-digits").iterdir()
    config = (folder / "config.yaml").read_text()
    assert "type: retinanet" in config
    assert "type: adam\n" in config


def test_a_head_of_another_task_says_which_ones_fit(cli, in_empty_folder):
    code, _, err = cli("head=linear", "task=detect")
    assert code == 2
    assert "head 'linear' serves task 'classify', not 'detect'. Heads for 'detect': faster_rcnn" in err


def test_a_data_set_of_labels_says_which_ones_have_boxes(cli, in_empty_folder):
    code, _, err = cli("task=detect", "dataset=mnist")
    assert code == 2
    assert "gives label, but task 'detect' needs boxes" in err.replace("labels", "label")
    assert "digits" in err


def test_a_loss_that_is_no_number_names_the_scenes(cli, in_empty_folder):
    code, _, err = cli(*TINY, "dataset.scenes.train=32", "recipe.lr=1e30", "recipe.clip_norm=null", "debug=fast")
    assert code == 2
    assert "training diverged: the loss is nan in epoch 1" in err
    assert "with the images scenes/train/" in err


@pytest.mark.slow
def test_several_processes_score_as_one(cli, run):
    """All but the losses, which are means over the objects of a batch, and batches are others."""
    code, out, _ = cli("evaluate", f"run={run}", "hardware.devices=2", "recipe.batch_size=10", "format=json")
    assert code == 0
    numbers = {name: value for name, value in json.loads(out)["metrics"].items() if name.startswith("test/ma")}
    assert numbers.keys() == {name for name in _metrics(run) if name.startswith("test/ma")}
    for name, value in numbers.items():
        assert value == pytest.approx(_metrics(run)[name], abs=1e-9), name
