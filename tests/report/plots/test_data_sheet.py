"""The picture of a data set has a panel for what there is."""

import numpy
from PIL import Image

from visionkit.report.plots.data_sheet import DataSheet, data_sheet_figure, plot_data_sheet

COUNTS = {"train": numpy.array([30, 70, 0]), "val": numpy.array([5, 5, 0])}
SIZES = {"train": numpy.array([[60, 80]] * 4 + [[90, 70]]), "val": numpy.zeros((0, 2), dtype=numpy.int64)}


def _titles(sheet):
    return [axes.get_title(loc="left") for axes in data_sheet_figure(sheet).axes if axes.get_title(loc="left")]


def _objects(**changes):
    random = numpy.random.default_rng(0)
    return DataSheet(
        "voc: 5 images", ("cat", "dog", "$eel_"), COUNTS, "objects", SIZES, (64, 64), random.random((8, 8)),
        numpy.array([2.0, 30.0, 60.0, 300.0]), numpy.array([False, True, True, True]), (32.0, 64.0),
        numpy.array([1, 3, 2, 9]), numpy.array([100.0, 120.0]), **changes,
    )  # fmt: skip


def test_a_set_of_objects_has_all_panels_and_one_of_classes_two():
    assert len(_titles(_objects())) == 6
    few = DataSheet("folder: 5 images", ("cat", "dog", "eel"), COUNTS, "images", SIZES, (64, 64))
    assert _titles(few) == ["% of the images of a split", "sizes of images"]


def test_shares_are_of_each_split_and_the_largest_class_stands_first():
    axes = data_sheet_figure(_objects()).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dog", "cat", "$eel_"]
    widths = [round(bar.get_width()) for bar in axes.patches]
    assert widths == [70, 30, 0, 50, 50, 0]


def test_objects_that_no_level_takes_are_a_colour_of_their_own_with_their_share():
    axes = next(axes for axes in data_sheet_figure(_objects()).axes if "sizes of train" in axes.get_title(loc="left"))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["objects", "no level takes them (25 %)"]


def test_sizes_that_differ_much_have_logarithmic_axes():
    sizes = {"train": numpy.array([[60, 80], [4000, 3000]])}
    assert data_sheet_figure(DataSheet("a", sizes=sizes, input_size=(64, 64))).axes[0].get_xscale() == "log"
    assert data_sheet_figure(DataSheet("a", sizes=SIZES, input_size=(64, 64))).axes[0].get_xscale() == "linear"


def test_the_picture_is_written_whole(tmp_path):
    plot_data_sheet(_objects(), tmp_path / "data.png")
    with Image.open(tmp_path / "data.png") as image:
        assert image.size[0] > 1400
    plot_data_sheet(DataSheet("nothing"), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 500
