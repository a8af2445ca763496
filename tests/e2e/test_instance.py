"""Instance segmentation through the real command line, on small scenes of real handwriting."""

import contextlib
import csv
import io
import json
import os

import pytest
from PIL import Image

TINY = (
    "task=instance", "hardware=cpu", "recipe.batch_size=8", "dataset.image_size=64", "dataset.scenes.count=[1,2]",
    "dataset.scenes.val=16", "dataset.scenes.test=16", "head.neck.out_channels=32", "head.mask_channels=16",
    "head.mask_convs=1", "head.hidden=[64]", "head.sampled_proposals=32", "head.proposals=50",
    "head.training_proposals=100",
)  # fmt: skip
FILES = {
    "config.yaml", "metrics.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "model.safetensors",
    "environment.json", "log.txt", "per_class.csv", "precision_recall.csv", "plots/curves.png", "plots/train_batch.png",
    "plots/predictions.png", "plots/precision_recall.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(shared_runs):
    """A run that has learnt a little."""
    return shared_runs.of("instance")


@pytest.fixture(scope="module")
def image_files(run, tmp_path_factory):
    """The test scenes as files, and what is in them in COCO's form."""
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    folder = tmp_path_factory.mktemp("scenes")
    data = RunConfig.from_plain(RunFolder(run).read_config()).datamodule(None)
    data.setup("test")
    samples = data.dataset("test")
    rows = []
    for number in range(len(samples)):
        Image.fromarray(samples.image(number)[0].numpy()).save(folder / f"{number:03d}.png")
        truth = samples.annotation(number)
        known = zip(truth.boxes.tolist(), truth.labels.tolist(), truth.area.tolist(), strict=True)
        for ((left, top, right, bottom), label, area), runs in zip(
            known, truth.segmentations.rles(64, 64), strict=True
        ):
            row = {"id": len(rows) + 1, "image_id": number, "category_id": label, "segmentation": runs, "iscrowd": 0}
            rows.append({**row, "bbox": [left, top, right - left, bottom - top], "area": area})
    images = [{"id": number, "height": 64, "width": 64} for number in range(len(samples))]
    return folder, {"images": images, "categories": [{"id": number} for number in range(10)], "annotations": rows}


def _metrics(run):
    return json.loads((run / "metrics.json").read_text())


def test_the_run_folder_holds_pictures_and_tables_of_masks(run):
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} >= FILES
    rows = list(csv.DictReader((run / "per_class.csv").open()))
    assert list(rows[0]) == ["class", "objects", "AP", "AP50", "box_AP", "box_AP50"]
    averages = [float(row["AP"]) for row in rows if row["AP"]]
    assert sum(averages) / len(averages) == pytest.approx(_metrics(run)["test/map"], abs=1e-6)


def test_metrics_are_those_of_coco_for_masks_and_boxes_and_losses(run):
    metrics = _metrics(run)
    assert 0 < metrics["test/map"] < metrics["test/map_50"] <= 1
    assert 0 < metrics["test/box_map"] < metrics["test/box_map_50"] <= 1
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    losses = {"objectness", "proposals", "classification", "boxes", "masks", "loss"}
    assert {name for name in rows[0] if name.startswith("train/")} == {f"train/{name}" for name in losses}
    assert float(rows[-1]["train/masks"]) < float(rows[0]["train/masks"])
    maps = [float(row["val/map"]) for row in rows]
    assert metrics["best_epoch"] == maps.index(max(maps)) + 1


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
    assert "16 images, masks with a score of 0.3 or more: " in out
    assert len(list((tmp_path / "out" / "images").iterdir())) == 16
    for kind, name in (("segm", "test/map"), ("bbox", "test/box_map")):
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = dataset
            truth.createIndex()
            scores = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "predictions.json")), kind)
            scores.evaluate()
            scores.accumulate()
            scores.summarize()
        assert scores.stats[0] == pytest.approx(_metrics(run)[name], abs=1e-3)  # the file has rounded numbers


def test_images_of_any_size_have_masks_of_theirs(cli, run, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (500, 120), "white").save(photos / "wide.jpg")
    Image.new("L", (9, 300), 40).save(photos / "tall.png")
    words = ("predict", f"run={run}", f"source={photos}", f"run_dir={tmp_path / 'out'}", "format=json")
    code, out, _ = cli(*words)
    assert code == 0
    rows = json.loads(out)["predictions"]
    sizes = {"wide.jpg": [120, 500], "tall.png": [300, 9]}
    assert rows
    assert all(row["segmentation"]["size"] == sizes[os.path.basename(row["file_name"])] for row in rows)
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["tall.png", "wide.jpg"]


def test_a_detectors_head_says_which_ones_draw_masks(cli, in_empty_folder):
    code, _, err = cli("head=fcos", "task=instance")
    assert code == 2
    assert "head 'fcos' serves task 'detect', not 'instance'. Heads for 'instance': mask_rcnn" in err


def test_a_classifiers_backbone_starts_masks(cli, shared_runs, in_empty_folder):
    first = shared_runs.train("classify_fast", "hardware=cpu", "debug=fast")
    words = ("dataset.scenes.train=16", "debug=fast", f"backbone.weights=run:{first}", "run_dir=second")
    assert cli(*TINY, *words)[0] == 0
    assert "in the backbone alone" in (in_empty_folder / "second" / "log.txt").read_text()


@pytest.mark.slow
def test_several_processes_score_as_one(cli, run):
    """All but the losses, which are means over the objects of a batch, and batches are others."""
    code, out, _ = cli("evaluate", f"run={run}", "hardware.devices=3", "recipe.batch_size=12", "format=json")
    assert code == 0
    numbers = {name: value for name, value in json.loads(out)["metrics"].items() if "ma" in name and "mask" not in name}
    assert {"test/map", "test/box_map"} <= numbers.keys()
    for name, value in numbers.items():
        assert value == pytest.approx(_metrics(run)[name], abs=1e-9), name
