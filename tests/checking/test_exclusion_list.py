"""The list of what a check would leave out, and the training that reads it."""

import shutil

import pytest

import visionkit as vk
from tests.checking.test_folder_faults import WORDS, _check, _clean, _copy, _first
from visionkit.errors import UserError


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return _clean(tmp_path_factory.mktemp("clean"))


def test_the_list_names_what_cannot_be_read_and_the_earlier_of_two_twins(clean, tmp_path):
    folder = shutil.copytree(clean, tmp_path / "data")
    _copy(folder, lambda image: image.resize((70, 52)), "jpg")
    broken = _first(folder, name="dog")
    broken.write_bytes(broken.read_bytes()[:900])
    report = _check(folder, deep=True, fix="list", out=tmp_path)
    assert report.written == {str(tmp_path / "excluded.txt"): 2}
    assert (tmp_path / "excluded.txt").read_text().splitlines() == [
        "# cannot be read", f"train/dog/{broken.name}", "# nearly the same picture is in a later split",
        f"train/cat/{_first(folder).name}",
    ]  # fmt: skip
    again = vk.check(*WORDS, f"dataset.root={folder}", f"dataset.exclude={tmp_path / 'excluded.txt'}", deep=True)
    assert again.of("image-excluded").count == 2
    assert again.summary["splits"]["train"]["images"] == 46
    assert again.of("near-twins-across") is None


def test_the_list_is_written_neither_into_the_data_nor_over_another(clean, tmp_path):
    with pytest.raises(UserError, match="lies in the data set, to which check writes nothing"):
        _check(clean, fix="list", out=clean / "train")
    (tmp_path / "excluded.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        _check(clean, fix="list", out=tmp_path)
    assert (tmp_path / "excluded.txt").read_text() == "mine"
