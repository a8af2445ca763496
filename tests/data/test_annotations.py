import subprocess
import sys

import numpy
import pytest

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.polygons import Polygons

COLUMNS = {"boxes": "float32", "labels": "int64", "crowd": "bool", "area": "float32"}


def objects(*labels: int) -> Objects:
    boxes = [[label, 0, label + 10, 20] for label in labels]
    outlines = [[label, 0, label + 10, 0, label, 20] for label in labels]
    return Objects.from_columns(
        boxes,
        labels,
        crowd=[label > 7 for label in labels],
        segmentations=Polygons.from_list(outlines, is_rle=False),
    )


def test_the_objects_of_each_image_come_back_as_they_were_laid_in():
    images = [objects(3, 8), objects(), objects(1)]
    annotations = Annotations.join(images)
    assert len(annotations) == 3
    for index, image in enumerate(images):
        found = annotations[index]
        assert all(numpy.array_equal(getattr(found, name), getattr(image, name)) for name in COLUMNS)
        assert numpy.array_equal(found.masks(30, 30), image.masks(30, 30))


def test_each_column_has_one_type_whatever_it_was_built_from():
    for built in (objects(3, 8), objects(), Annotations.join([objects(), objects(1)]).objects):
        assert {name: str(getattr(built, name).dtype) for name in COLUMNS} == COLUMNS
        assert built.boxes.shape == (len(built), 4)


def test_an_area_that_is_not_known_is_that_of_the_box_before_it_is_rounded():
    box = [0.1, 0.2, 33.3, 77.7]
    found = Objects.from_columns([box, box], [0, 0], area=[5, numpy.nan]).area
    assert found.tolist() == [5, numpy.float32((33.3 - 0.1) * (77.7 - 0.2))]


def test_sorted_objects_are_assigned_to_their_images():
    annotations = Annotations.from_sorted(objects(3, 8, 1), [0, 0, 2], num_images=4)
    assert [annotations[index].labels.tolist() for index in range(4)] == [[3, 8], [], [1], []]


def test_images_are_chosen_in_any_order_with_their_objects():
    annotations = Annotations.join([objects(3, 8), objects(), objects(1), objects(4, 5, 6)])
    chosen = annotations.select(numpy.array([3, 1, 0]))
    assert [chosen[i].labels.tolist() for i in range(3)] == [[4, 5, 6], [], [3, 8]]
    assert numpy.array_equal(chosen[2].boxes, annotations[0].boxes)
    assert numpy.array_equal(chosen[2].masks(30, 30), annotations[0].masks(30, 30))


def test_a_split_without_images_is_one_too():
    assert len(Annotations.join([objects(1)]).select(numpy.zeros(0, dtype=numpy.int64))) == 0


def test_the_objects_of_an_image_share_the_memory_of_the_split():
    annotations = Annotations.join([objects(3, 8), objects(1)])
    first, split = annotations[0], annotations.objects
    assert numpy.shares_memory(first.boxes, split.boxes)
    assert numpy.shares_memory(first.segmentations.values, split.segmentations.values)


def test_the_size_is_that_of_the_arrays():
    annotations = Annotations.join([Objects.from_columns([[0, 0, 1, 1]] * 2, [3, 8]), Objects.from_columns([], [])])
    assert annotations.nbytes == 3 * 8 + 2 * (16 + 8 + 1 + 4)


@pytest.mark.parametrize("shapes", ["masks", "rles"])
def test_objects_without_outlines_have_no_shapes(shapes):
    with pytest.raises(TypeError, match=r"these objects have boxes, no shapes"):
        getattr(Objects.from_columns([[0, 0, 1, 1]], [0]), shapes)(4, 4)


def test_the_table_loads_without_torch():
    code = "import sys, visionkit.data.annotations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
