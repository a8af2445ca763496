"""The pictures of a check."""

import shutil

import pytest
from PIL import Image

from tests.checking.test_box_faults import FAULTS, _change, _check
from tests.checking.test_box_faults import clean as clean
from visionkit.errors import UserError


def test_a_check_draws_the_set_a_batch_and_the_worst_findings(clean, tmp_path):
    folder = shutil.copytree(clean, tmp_path / "data")
    _change(folder, FAULTS["box-whole-image"])
    report = _check(folder, plot=True, out=tmp_path / "seen")
    assert [file.rpartition("/")[2] for file in report.pictures] == ["data.png", "train_batch.png", "findings.png"]
    for file in report.pictures:
        with Image.open(file) as image:
            assert min(image.size) > 100
    with pytest.raises(UserError, match=r"data.png' is there already"):
        _check(folder, plot=True, out=tmp_path / "seen")


def test_the_object_of_a_finding_is_framed(clean, tmp_path):
    folder = shutil.copytree(clean, tmp_path / "data")
    _change(folder, FAULTS["box-whole-image"])
    report = _check(folder, plot=True, out=tmp_path / "seen")
    with Image.open(report.pictures[2]) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(maxcolors=10**7)}
    assert (0xC8, 0x32, 0x1F) in colours  # ERROR_COLOUR


def test_without_findings_that_name_images_there_is_no_picture_of_them(clean, tmp_path):
    report = _check(clean, plot=True, out=tmp_path / "seen")
    assert [file.rpartition("/")[2] for file in report.pictures] == ["data.png", "train_batch.png"]
