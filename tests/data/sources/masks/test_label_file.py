"""Names of classes in nnU-Net's ``dataset.json``."""

import json

import numpy
import pytest
from PIL import Image

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings, save_image, tmp_path):
    """The source of six images in nnU-Net's folders, whose masks hold 0, 1 and 2, and the data set's ``labels``."""

    def make(labels, *, root="", among=(0, 1, 2), **changes):
        for number in range(6):
            save_image(tmp_path / root / f"imagesTr/case_{number}_0000.png", size=(6, 9), seed=number)
            pixels = numpy.random.RandomState(number).choice(among, (6, 9)).astype(numpy.uint8)
            pixels[0, : len(among)] = among
            path = tmp_path / root / f"labelsTr/case_{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
        text = labels if isinstance(labels, str) else json.dumps({"labels": labels, "numTraining": 6})
        (tmp_path / root / "dataset.json").write_text(text)
        return parse_source(settings("masks", root=str(tmp_path), image_size=16, **changes))

    return make


def said(source):
    return [finding.note for finding in source.splits(seed=0).findings]


@pytest.mark.parametrize(
    "labels", [{"background": 0, "lung": 1, "tumour": 2}, {"0": "background", "1": "lung", "2": "tumour"}]
)
@pytest.mark.parametrize("root", ["", "Dataset001"])
def test_the_names_of_labels_are_those_of_the_classes_and_said(make_source, labels, root):
    source = make_source(labels, root=root)
    assert source.info().class_names == ("background", "lung", "tumour")
    assert said(source) == ["3 class(es) named as in dataset.json: 0 background, 1 lung, 2 tumour"]


def test_the_label_ignore_is_no_class(make_source):
    source = make_source({"background": 0, "lung": 1, "ignore": 2})
    assert source.info().class_names == ("background", "lung")
    mask = source.splits(seed=0).samples["train"].mask(0)
    assert set(mask.unique().tolist()) == {0, 1, 255}


def test_a_label_that_no_mask_has_is_a_class_without_pixels(make_source):
    source = make_source({"background": 0, "lung": 1, "tumour": 2, "bone": 3})
    assert source.info().num_classes == 4
    assert said(source)[1] == "1 class(es) without a pixel in any training mask: bone"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"background": 0, "lung": 1}, "masks hold 2 too"),
        ({"background": 0, "lung": [1, 2], "tumour": 2}, "'lung' stands for no id of its own"),
        ({"background": 0, "lung": 1, "tumour": 1}, "the id 1 has two names"),
        ({"background": 0, "lung": True, "tumour": 2}, "'lung' stands for no id of its own"),
        ({"0": "a", "1": "a", "2": "b"}, "a name is there twice, or empty"),
        ("{", "is no JSON document"),
    ],
)
def test_names_that_do_not_fit_are_not_used_and_that_is_said(make_source, labels, reason):
    source = make_source(labels)
    assert source.info().class_names == ("0", "1", "2")
    (finding,) = source.splits(seed=0).findings
    assert finding.code == "class-names-unfit"
    assert reason in finding.note
    with pytest.raises(UserError, match=r"dataset.json, not used"):
        source.check(strict=True)


@pytest.mark.parametrize("content", ['{"labels": null}', "[]", '{"name": "mine"}'])
def test_a_file_of_another_program_is_passed_over(make_source, content):
    assert said(make_source(content)) == []


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"classes": ["x", "y", "z"]}, ("x", "y", "z")),
        ({"class_map": {"0": "x", "1": "y", "2": "y"}}, ("x", "y")),
    ],
)
def test_names_of_the_configuration_come_first(make_source, changes, names):
    source = make_source({"background": 0, "lung": 1, "tumour": 2}, **changes)
    assert source.info().class_names == names
    assert said(source) == []


def test_an_id_that_is_ignored_by_the_user_has_no_class(make_source):
    assert make_source({"background": 0, "lung": 1, "tumour": 2}, ignore=2).info().class_names == ("background", "lung")
