"""What a training says before it begins."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from tests.helpers.tiny_training import recipe
from visionkit.data.findings import Finding
from visionkit.settings import Poly
from visionkit.tasks.info import TASKS
from visionkit.training.callbacks.time_limit import TimeIsUp
from visionkit.training.messages import print_header, time_notes


def _header(num_val, *, task="classify", limit_batches=None, findings=(), logged=None):
    lines, logged = [], [] if logged is None else logged
    sizes = {"train": 99, **({"val": num_val} if num_val else {})}
    config = SimpleNamespace(
        backbone=SimpleNamespace(name="lenet"),
        task=TASKS[task],
        hardware=SimpleNamespace(precision="32"),
        recipe=SimpleNamespace(batch_size=8, freeze=None),
        debug=SimpleNamespace(limit_batches=limit_batches, epochs=None),
    )
    run = SimpleNamespace(
        config=config,
        model=nn.Linear(2, 3),
        datamodule=SimpleNamespace(
            sizes=sizes, notes=["a note", *(found.note for found in findings)], findings=findings
        ),
        data={"image_size": (5, 6), "name": "digits", "class_names": ("a", "b"), "in_channels": 1},
        data_notes=[],
        weight_notes=(),
        notes=(),
        processes=SimpleNamespace(count=1, accelerator="cpu"),
        folder=SimpleNamespace(path="runs/x", notes_file=None),
        printer=SimpleNamespace(print=lambda *texts: lines.extend(texts), log=lambda *texts: logged.extend(texts)),
    )
    with tempfile.TemporaryDirectory() as folder:
        run.folder.notes_file = Path(folder) / "notes.json"
        print_header(run)
    return lines


def _notes(*arguments, **options):
    return [line for line in _header(*arguments, **options) if "may be chance" in line]


def test_the_header_says_what_is_trained_on_what():
    lines = _header(1000)
    assert lines[:3] == [
        "model    lenet, 9 parameters",
        "data     digits: train 99, val 1,000; 2 classes, 1x5x6",
        "         a note",
    ]


def test_a_note_names_three_places_and_the_log_ten():
    findings = Finding.of("box-empty", [f"{n}.xml" for n in range(12)])
    logged = []
    lines = _header(1000, findings=findings, logged=logged)
    assert [line.partition(": ")[2] for line in lines if ".xml" in line] == ["0.xml, 1.xml, 2.xml and 9 more"]
    assert [line.partition(": ")[2] for line in logged] == [", ".join(f"{n}.xml" for n in range(10)) + " and 2 more"]


def test_a_validation_split_that_fixes_an_accuracy_to_more_than_five_points_is_said():
    """Wilson's interval of an accuracy of one half: 9.6 points of 100 images (1.96 / 2 / sqrt(103.84))."""
    (note,) = _notes(100)
    assert note.startswith("         val has 100 images, so val/accuracy is known to within 10 points (95 %)")
    assert "Some 370 images give 5; or compare runs over -m dataset.fold=0,1,2,3,4" in note


def test_as_many_images_as_it_names_are_enough():
    assert _notes(385) == []


def test_one_image_is_one_image():
    (note,) = _notes(1)
    assert "val has 1 image, so" in note


def test_metrics_that_average_within_images_need_fewer():
    """1.96 x 0.25 / sqrt(80) is 5.5 points, of 97 images 4.98."""
    (note,) = _notes(80, task="segment")
    assert f"{TASKS['segment'].monitor} is known to within 5 points" in note
    assert _notes(97, task="segment") == []


@pytest.mark.parametrize(("num_val", "limit"), [(0, None), (10, 2)])
def test_without_such_a_split_and_in_a_run_that_is_a_test_nothing_is_said(num_val, limit):
    assert _notes(num_val, limit_batches=limit) == []


def _time_notes(tmp_path, stopped, **changes):
    config = SimpleNamespace(recipe=recipe(**{"max_time": 1200, "epochs": 10, **changes}), objects=(), plugins=())
    folder = SimpleNamespace(path="runs/x", notes_file=tmp_path / "notes.json")
    return time_notes(SimpleNamespace(config=config, folder=folder, arguments="run=runs/x"), stopped)


def test_a_training_that_its_time_ended_says_where_and_what_would_fit(tmp_path):
    schedule = Poly(**{**vars(recipe().schedule), "warmup_epochs": 0.0, "power": 1.0})
    note, go_on = _time_notes(tmp_path, TimeIsUp(4, 20, 40), schedule=schedule)
    assert "recipe.max_time=20m ended the training in epoch 4 of 10, 20 of its 40 batches" in note
    assert "the schedule is made for all 10 epochs, and had the rate at 0.65 of recipe.lr" in note
    assert note.endswith("A whole schedule in about this time: recipe.epochs=4")
    assert go_on.strip() == "To go on: python -m visionkit train run=runs/x resume=true recipe.max_time=40m"
    assert "recipe.max_time=20m" in (tmp_path / "notes.json").read_text()


def test_an_end_between_two_epochs_is_said_as_one(tmp_path):
    assert "ended the training after epoch 4 of 10: the schedule" in _time_notes(tmp_path, TimeIsUp(4, 40, 40))[0]


def test_a_training_within_its_time_says_nothing_of_it(tmp_path):
    assert _time_notes(tmp_path, None) == []
