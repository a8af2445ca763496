"""Names of classes and files in pictures and result files."""

import csv
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visionkit.report.boxes import DrawnBox, write_boxes
from visionkit.report.images import plot_captioned
from visionkit.report.masks import plot_masks
from visionkit.report.plots.confusion_matrix import plot_confusion_matrix
from visionkit.report.plots.precision_recall import plot_precision_recall
from visionkit.report.style import shorten
from visionkit.report.writers.base import common_folder, picture_names
from visionkit.report.writers.classify import ClassifyWriter
from visionkit.runs.folder import RunFolder

NAMES = ["$x^{\\frac$", "a\nb\x1b[2J", "\u732b\u202e\udcff"]
DATA = {"class_names": ["=1+1", "-x", "b"]}


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _plots(folder: Path):
    images = np.zeros((3, 3, 8, 8), dtype=np.uint8)
    yield lambda path: plot_confusion_matrix(np.eye(3, dtype=int) + 1, NAMES, path, split="test")
    yield lambda path: plot_captioned(images, [shorten(name) for name in NAMES], path, title="t")
    curves = {name: np.linspace(1, 0, 5) for name in NAMES}
    yield lambda path: plot_precision_recall(np.linspace(0, 1, 5), np.zeros(5), curves, path, title="t")
    yield lambda path: plot_masks([(images[0], np.zeros((8, 8), dtype=np.uint8))], NAMES, path, title="t")
    yield lambda path: write_boxes(images[0], [DrawnBox([1, 1, 7, 7], name, "#123456") for name in NAMES], path)


@pytest.mark.parametrize("number", range(5))
def test_names_are_no_formulas_and_no_warnings_in_pictures(tmp_path, number):
    path = tmp_path / "plot.png"
    list(_plots(tmp_path))[number](path)
    with Image.open(path) as image:
        assert np.asarray(image.convert("L")).std() > 1


def test_a_dollar_is_drawn_as_it_is(tmp_path):
    sizes = []
    for index, name in enumerate(("$$", "")):
        plot_captioned(np.zeros((1, 3, 8, 8), np.uint8), [name], tmp_path / f"{index}.png", title="t")
        with Image.open(tmp_path / f"{index}.png") as image:
            sizes.append(int((np.asarray(image.convert("L")) < 128).sum()))
    assert sizes[0] > sizes[1]  # an empty formula would leave nothing


def test_the_table_of_predictions_quotes_names_and_keeps_numbers(tmp_path):
    path = tmp_path / "=a.jpg"
    writer = ClassifyWriter(tmp_path, DATA, [path], draw=False)
    writer.add(Path("=a.jpg"), None, {"label": 0, "score": 0.5, "probabilities": [0.5, 0.25, 0.25]})
    writer.write()
    with (tmp_path / "predictions.csv").open(newline="") as file:
        header, row = csv.reader(file)
    assert header == ["file", "label", "class", "score", "'=1+1", "'-x", "b"]
    assert row == ["'=a.jpg", "0", "'=1+1", "0.500000", "0.500000", "0.250000", "0.250000"]
    assert json.loads((tmp_path / "predictions.json").read_text())[0]["class"] == "=1+1"


def test_file_names_that_are_no_utf_8_are_written_escaped(tmp_path):
    writer = ClassifyWriter(tmp_path, DATA, [Path("a\udcff.jpg")], draw=False)
    writer.add(Path("a\udcff.jpg"), None, {"label": 2, "score": 0.5, "probabilities": [0.5, 0.25, 0.25]})
    writer.write()
    assert r"a\udcff.jpg,2,b" in (tmp_path / "predictions.csv").read_text()
    assert json.loads((tmp_path / "predictions.json").read_text())[0]["file"] == "a\udcff.jpg"


def test_images_of_one_name_have_pictures_of_their_own(tmp_path):
    paths = [tmp_path / name for name in ("a/x.jpg", "b/x.jpg", "a/x.bmp", "a/x.bmp.png", "a/X.jpg")]
    names = picture_names(paths, tmp_path)
    expected = ["a/x.jpg", "b/x.jpg", "a/x.bmp.png", "a/x.bmp_2.png", "a/X_2.jpg"]
    assert [str(names[path]) for path in paths] == expected


def test_tables_of_runs_quote_text_alone(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_csv(tmp_path / "t.csv", ["class", "@gain"], [["=x", -0.5], ["+1", None]])
    assert (tmp_path / "t.csv").read_text() == "class,'@gain\n'=x,-0.5\n+1,\n"


def test_pictures_of_predictions_stay_in_their_folder(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    paths = [Path("b/../../x.jpg"), Path("b/y\x1b.bmp"), Path("b") / ("z" * 250 + ".png")]
    shared = common_folder(paths)
    names = list(picture_names(paths, shared).values())
    assert shared == tmp_path
    assert names[:2] == [Path("x.jpg"), Path(r"a/b/y\x1b.bmp.png")]
    assert not any(".." in name.parts or name.is_absolute() for name in names)
    assert max(len(os.fsencode(part)) for name in names for part in name.parts) <= 240
