"""The verb check as a user types it, and what it finds in the real data of ../shared/data."""

import json
import shutil

import pytest

import visionkit as vk
from tests.checking.test_folder_faults import _clean, _first
from tests.helpers import commands
from tests.helpers.paths import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")


@pytest.fixture(scope="module")
def photos_of_classes(tmp_path_factory):
    return _clean(tmp_path_factory.mktemp("photos") / "photos")


@pytest.mark.slow
def test_a_clean_folder_ends_with_0_and_one_with_a_leak_with_2(photos_of_classes, tmp_path):
    words = ("check", "dataset=folder", "backbone=resnet20", "dataset.image_size=64")
    code, out, err = commands.run(tmp_path, *words, f"dataset.root={photos_of_classes}")
    assert (code, err) == (0, "")
    assert "0 errors, 0 warnings" in out
    folder = shutil.copytree(photos_of_classes, tmp_path / "data")
    shutil.copy(_first(folder), folder / "val" / "cat" / "copy.jpg")
    code, out, err = commands.run(tmp_path, *words, "dataset.root=data", "format=json")
    document = json.loads(out)
    assert (code, err) == (2, "")
    assert document["counts"]["error"] == 1
    (found,) = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert (found["code"], found["count"]) == ("splits-overlap", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.slow
def test_a_second_check_reads_what_the_first_has_kept(photos_of_classes, tmp_path):
    words = ("dataset=folder", "backbone=resnet20", "dataset.image_size=64", f"dataset.root={photos_of_classes}")
    first = vk.check(*words, deep=True, cache=tmp_path / "kept")
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "kept").iterdir()}
    second = vk.check(*words, deep=True, cache=tmp_path / "kept")
    assert len(files) == 2
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "kept").iterdir()} == files
    assert second.to_json() | {"seconds": 0} == first.to_json() | {"seconds": 0}


@needs_data
def test_blood_cells_have_two_boxes_without_area_and_seven_marked_twice():
    report = vk.check("dataset=voc", f"dataset.root={SHARED / 'bccd'}", "backbone=resnet18")
    assert not report.has_errors
    assert report.of("box-empty").count == 2
    assert report.of("boxes-alike").count == 7
    assert report.summary["splits"]["train"]["per_class"] == [209, 2381, 214]


@needs_data
def test_street_scenes_have_no_fault_but_films_that_lie_in_two_splits():
    report = vk.check("dataset=camvid", f"dataset.root={SHARED / 'camvid'}", "backbone=resnet18")
    assert (report.counts["error"], report.counts["warning"]) == (0, 0)
    assert "0016E5" in report.of("groups-across").text
