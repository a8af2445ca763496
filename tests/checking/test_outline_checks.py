"""Outlines beside their boxes, areas and themselves."""

import json
import shutil

import numpy
import pytest

import visionkit as vk
from tests.checking.test_box_faults import write_coco
from visionkit.checking.outline_checks import polygon_areas
from visionkit.data.polygons import Polygons

WORDS = ("task=instance", "dataset=coco", "backbone=resnet18", "dataset.image_size=128")


def _with_outlines(content):
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return content


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("coco"), _with_outlines)


def _crossed(annotation):
    x, y, width, height = annotation["bbox"]
    annotation["segmentation"] = [[x, y, x + width, y + height, x + width, y, x, y + height]]


FAULTS = {
    "box-differs-outline": lambda a: a.update(bbox=[1, 1, 100, 90]),
    "area-differs": lambda a: a.update(area=3 * a["area"]),
    "outline-crossed": _crossed,
}


def _check(folder):
    return vk.check(*WORDS, f"dataset.root={folder}")


def test_clean_outlines_have_no_fault(clean):
    report = _check(clean)
    assert (report.counts["error"], report.counts["warning"]) == (0, 0), [f.note for f in report.findings]
    assert not any(report.of(code) for code in FAULTS)


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_of_an_outline_is_named_with_its_object(clean, tmp_path, code):
    folder = shutil.copytree(clean, tmp_path / "data")
    file = folder / "annotations" / "train.json"
    content = json.loads(file.read_text())
    FAULTS[code](content["annotations"][4])  # the second object of the second image
    file.write_text(json.dumps(content))
    found = _check(folder).of(code)
    assert (found.count, found.places) == (1, ("train/2.jpg object 2",))


def test_areas_are_those_of_the_formula_for_several_rings():
    nan = numpy.nan
    square = [0, 0, 4, 0, 4, 4, 0, 4]
    triangle = [10, 10, 16, 10, 10, 14]
    outlines = Polygons.from_list([square, [*square, nan, nan, *triangle], triangle], is_rle=False)
    assert polygon_areas(outlines).tolist() == [16, 28, 12]
