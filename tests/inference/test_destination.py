"""Where predict writes: folders and files, none of which is overwritten."""

from pathlib import Path

import pytest

from visionkit.errors import UserError
from visionkit.inference.destination import OutputOptions, check_apart, check_new, choose_target


def target(tmp_path, out, *, run_dir=None, num_images=1):
    return choose_target(out, run_dir, tmp_path / "run", num_images=num_images)


def test_results_go_into_the_run_unless_said_otherwise(tmp_path):
    assert target(tmp_path, None).parent == tmp_path / "run" / "predictions"
    assert target(tmp_path, None, run_dir=str(tmp_path / "a")) == tmp_path / "a"


@pytest.mark.parametrize("name", ["results", "results.v2", "a.JPG", "a.png", "b.csv", "c.json"])
def test_a_folder_or_a_file_of_a_known_form_is_taken(tmp_path, name):
    assert target(tmp_path, str(tmp_path / name)) == tmp_path / name


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.txt", "a.xlsx"])
def test_files_of_other_forms_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"which is not written. Expected a folder, a picture .* Try: out=.*a.csv"):
        target(tmp_path, str(tmp_path / name))


def test_one_picture_of_several_images_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is one picture, and there are 2 images. Expected a folder. Try: out=.*/a$"):
        target(tmp_path, str(tmp_path / "a.png"), num_images=2)
    assert target(tmp_path, str(tmp_path / "a.csv"), num_images=2) == tmp_path / "a.csv"


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"the only copy")
    with pytest.raises(UserError, match=r"photo.jpg' is there already, and is not overwritten.* Try: .*photo_2.jpg"):
        target(tmp_path, str(photo))


def test_a_folder_that_holds_results_is_refused(tmp_path):
    (tmp_path / "out" / "images").mkdir(parents=True)
    files = [tmp_path / "out" / "predictions.json", tmp_path / "out" / "images"]
    with pytest.raises(UserError, match=r"already holds predictions. Expected another folder, such as out=.*out_2"):
        check_new(files, where="out", target=tmp_path / "out")
    check_new(files[:1], where="out", target=tmp_path / "out")


def test_out_and_run_dir_together_are_refused(tmp_path):
    with pytest.raises(UserError, match="out=a and run_dir=b both say where"):
        target(tmp_path, "a", run_dir="b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draw": "maybe"}, 'draw: expected true or false, found "maybe"'),
        ({"format": "xml"}, 'format: expected text, json or csv, found "xml"'),
        ({"draw": False, "out": "a.png"}, "draw=false writes no picture, and out=a.png is one"),
    ],
)
def test_wrong_options_say_what_to_type(options, message):
    with pytest.raises(UserError, match=message):
        OutputOptions.read(options)


def test_options_that_are_not_typed_are_left_to_the_task():
    assert OutputOptions.read({"window": 9}) == OutputOptions(None, None, "text")


@pytest.mark.parametrize("out", ["photos", "photos/new", "photos/../photos/cat"])
def test_results_never_lie_among_the_images(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for where in ("out", "run_dir"):
        with pytest.raises(UserError, match=rf"lies in the folder of the images.*Try: {where}=photos_predictions"):
            check_apart(Path(out), "photos", where=where)
    check_apart(Path("photos_predictions"), "photos", where="out")
    check_apart(Path("photos/table.csv"), "photos", where="out")
