"""Forms of outlines, boxes made of them, and outlines out of their image, through the whole reader."""

import numpy
import pytest
from pycocotools import mask as coco

from visionkit.data.sources import parse_source
from visionkit.data.sources.coco.segmentations import read_segmentations
from visionkit.errors import UserError

TRIANGLE = [2.5, 3, 12.5, 3, 12.5, 15.25]
SQUARE = [20, 4, 30, 4, 30, 14, 20, 14]
PAIRS = [[2.5, 3], [12.5, 3], [12.5, 15.25]]
BITS = numpy.zeros((30, 40), dtype=numpy.uint8, order="F")
BITS[4:9, 6:21] = 1
RUNS = {"size": [30, 40], "counts": coco.encode(BITS)["counts"].decode()}


@pytest.fixture
def read(settings, make_coco):
    """The objects of the first image and the codes of the findings, where its annotation has other values."""

    def read(changes, target="boxes", image=None):
        def change(content):
            content["annotations"][0].update(changes)
            content["images"][0].update(image or {})

        root = make_coco(change=change)
        splits = parse_source(settings("coco", root=str(root), image_size=32)).for_target(target).splits(seed=0)
        samples = splits.samples["train"]
        return (
            samples.mask(0) if target == "mask" else samples.annotation(0),
            [finding.code for finding in splits.findings],
        )

    return read


@pytest.mark.parametrize("shape", [TRIANGLE, PAIRS, [PAIRS], [[str(value) for value in TRIANGLE]]])
@pytest.mark.parametrize("others", [[], ["word"]])
def test_flat_outlines_and_pairs_are_outlines(shape, others):
    found = read_segmentations(
        [[TRIANGLE, SQUARE], shape, *others], numpy.zeros((2 + len(others), 2), dtype=int), max_pixels=100
    )
    assert found.rows.tolist() == [0, 1]
    assert found.polygons[1:].values.tolist() == TRIANGLE
    assert numpy.nan_to_num(found.polygons[:1].values, nan=-1).tolist() == [*TRIANGLE, -1, -1, *SQUARE]
    assert list(found.problems) == [(2, "outline-no-number")] * len(others)


@pytest.mark.parametrize("box", [{"bbox": None}, {"bbox": []}])
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([TRIANGLE], [2.5, 3, 12.5, 15.25]),
        ([TRIANGLE, SQUARE], [2.5, 3, 30, 15.25]),
        (PAIRS, [2.5, 3, 12.5, 15.25]),
        (RUNS, [6, 4, 21, 9]),
        ({"size": [30, 40], "counts": [35, 3, 1162]}, [1, 5, 2, 8]),
        ([[-5, 3, 1e9, 3, 1e9, 15.25]], [0, 3, 40, 15.25]),
    ],
)
@pytest.mark.parametrize("target", ["boxes", "instances"])
def test_objects_without_a_box_have_that_of_their_outline(read, box, shape, expected, target):
    objects, codes = read({**box, "segmentation": shape}, target)
    assert codes[0] == "box-from-outline"
    assert objects.boxes.tolist() == [expected]


def test_an_outline_without_pixels_makes_no_box(read):
    objects, codes = read({"bbox": None, "segmentation": {"size": [30, 40], "counts": [1200]}})
    assert (len(objects), codes) == (0, ["box-from-outline", "box-no-number"])


def test_a_far_outline_keeps_its_part_within_and_is_said(read):
    objects, codes = read({"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}, "instances")
    expected = coco.decode(coco.frPyObjects([[0, 0, 99, 0, 99, 99]], 30, 40))[..., 0]
    assert codes == ["outline-clipped"]
    assert numpy.array_equal(objects.masks(30, 40)[0], expected)


@pytest.mark.parametrize("target", ["instances", "mask"])
def test_an_outline_elsewhere_is_dropped_and_said(read, target):
    target_of_image, codes = read({"segmentation": [[1e9, 0, 2e9, 0, 2e9, 1e9]]}, target)
    assert codes == ["outline-outside"]
    assert not (target_of_image.any() if target == "mask" else len(target_of_image))


def test_a_far_outline_of_an_image_whose_size_is_not_said_is_clipped_to_its_file(read):
    unknown = {"height": None, "width": None}
    objects, codes = read({"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}, "instances", image=unknown)
    assert codes == ["outline-clipped"]
    assert objects.masks(30, 40).sum() == coco.area(coco.frPyObjects([[0, 0, 99, 0, 99, 99]], 30, 40))[0]


def test_boxes_of_an_image_whose_size_is_not_said_are_clipped_to_its_file(read):
    unknown = {"height": None, "width": None}
    objects, codes = read({"bbox": [30, 5, 1e9, 10], "area": None}, image=unknown)
    assert codes == ["box-clipped", "box-clipped"]  # of what no image can have, then of the image
    assert (objects.boxes.tolist(), objects.area.tolist()) == ([[30, 5, 40, 15]], [100])
    objects, codes = read({"bbox": [41, 5, 9, 10]}, image=unknown)
    assert (len(objects), codes) == (0, ["box-outside"])


def test_run_lengths_say_the_size_of_an_image_that_the_list_does_not(settings, make_coco):
    def change(content):
        for image in content["images"][:2]:
            del image["height"], image["width"]
        for annotation, size in zip(content["annotations"], ([30, 40], [60, 20], [30, 40]), strict=False):
            annotation["segmentation"] = {"size": size, "counts": [0, 1200]}

    source = parse_source(settings("coco", root=str(make_coco(change=change)), image_size=32)).for_target("instances")
    samples = source.splits(seed=0).samples["train"]
    assert samples.sizes[:2].tolist() == [[30, 40], [60, 20]]
    assert samples.annotation(0).masks(30, 40).all()


def test_a_missing_crowd_flag_and_area_are_no_crowd_and_the_area_of_the_box(settings, make_coco):
    def change(content):
        for annotation in content["annotations"]:
            del annotation["iscrowd"], annotation["area"]
        content["annotations"][1]["iscrowd"] = "1"

    source = parse_source(settings("coco", root=str(make_coco(change=change)), image_size=32))
    objects = source.splits(seed=0).samples["train"].annotations.objects
    assert objects.crowd.tolist() == [False, True, False, False, False, False]
    assert objects.area[:2].tolist() == [10 * 12.25, 11 * 12.25]


@pytest.mark.parametrize("area", [10**400, 1e300, "large", [], -1, None])
def test_an_area_that_no_object_has_is_that_of_the_box(read, area):
    assert read({"area": area})[0].area.tolist() == [122.5]


def test_a_hundred_thousand_objects_on_one_image_are_cut(settings, make_coco):
    def change(content):
        first = content["annotations"][0]
        content["annotations"] += [{**first, "bbox": [2.5, 3, 10 + number / 1000, 12]} for number in range(5000)]

    source = parse_source(settings("coco", root=str(make_coco(change=change)), image_size=32))
    splits = source.splits(seed=0)
    assert splits.samples["train"].annotations.counts.tolist() == [2000, 2, 1, 2]
    assert (
        splits.findings[0].note == "1 image(s) with more than 2,000 objects cut to so many: train2017/000000000000.jpg"
    )


def test_an_object_annotated_twice_under_two_ids_is_one(settings, make_coco):
    def change(content):
        content["annotations"] += [{**entry, "id": 900 + entry["id"]} for entry in content["annotations"]]

    source = parse_source(settings("coco", root=str(make_coco(change=change)), image_size=32))
    splits = source.splits(seed=0)
    assert splits.samples["train"].annotations.counts.tolist() == [1, 2, 1, 2]
    assert [(finding.code, finding.count) for finding in splits.findings] == [("annotation-repeated", 6)]


@pytest.mark.parametrize("has_size", [True, False])
def test_boxes_written_as_corners_are_said(settings, make_coco, has_size):
    def change(content):
        for entry in content["annotations"]:
            entry["bbox"] = [20, 12, 38, 28 - entry["id"] / 100]
        for image in [] if has_size else content["images"]:
            del image["width"], image["height"]

    source = parse_source(settings("coco", root=str(make_coco(change=change)), image_size=32))
    finding = source.splits(seed=0).findings[0]
    assert (finding.code, finding.count, finding.values["outside"]) == ("box-corners", 6, "6")


def test_fractions_instead_of_pixels_are_an_error(settings, make_coco):
    def change(content):
        for entry in content["annotations"]:
            entry["bbox"] = [0.1, 0.1, 0.3, 0.3]

    source = parse_source(settings("coco", root=str(make_coco(change=change)), image_size=32))
    with pytest.raises(UserError, match=r"the boxes of all 6 objects of train .* lie between 0 and 1.*Expected pixels"):
        source.check()
