import numpy

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import AnnotatedImages
from visionkit.data.sources.repeated_objects import drop_repeated


def images_of(boxes, labels, image, *, crowd=None, outlines=None) -> AnnotatedImages:
    segmentations = None if outlines is None else Polygons.from_list(outlines, is_rle=False)
    objects = Objects.from_columns(boxes, labels, crowd=crowd, segmentations=segmentations)
    num_images = max(image) + 1
    names = [f"{row}.png" for row in range(num_images)]
    annotations = Annotations.from_sorted(objects, image, num_images=num_images)
    return AnnotatedImages(names, numpy.full((num_images, 2), 64), annotations)


BOX, OTHER = [2.5, 3, 10, 12], [2.5, 3, 10, 12.5]


def test_the_same_class_and_box_in_one_image_is_one_object():
    images, findings = drop_repeated(images_of([BOX, OTHER, BOX, BOX, BOX], [0, 0, 0, 1, 0], [0, 0, 0, 0, 2]))
    assert images.annotations.counts.tolist() == [3, 0, 1]
    assert images.annotations.objects.boxes.tolist() == [BOX, OTHER, BOX, BOX]
    assert images.annotations.objects.labels.tolist() == [0, 0, 1, 0]
    assert [(finding.code, finding.places) for finding in findings] == [("annotation-repeated", ("0.png",))]


def test_a_crowd_and_an_object_of_another_outline_are_other_objects():
    assert drop_repeated(images_of([BOX, BOX], [0, 0], [0, 0], crowd=[True, False]))[1] == []
    one, two = [2.5, 3, 10, 3, 10, 12], [2.5, 3, 2.5, 12, 10, 12]
    assert drop_repeated(images_of([BOX] * 2, [0, 0], [0, 0], outlines=[one, two]))[1] == []
    images, _ = drop_repeated(images_of([BOX] * 3, [0] * 3, [0] * 3, outlines=[one, two, one]))
    assert images.annotations.counts.tolist() == [2]
    assert images.annotations.objects.segmentations.values.tolist() == [*one, *two]


def test_it_agrees_with_a_plain_search_on_many_objects():
    generator = numpy.random.default_rng(0)
    boxes = generator.integers(0, 3, (2000, 4)) + numpy.array([0, 0, 5, 5])
    labels, image = generator.integers(0, 2, 2000), numpy.sort(generator.integers(0, 9, 2000))
    rows = zip(image.tolist(), labels.tolist(), map(tuple, boxes.tolist()), strict=True)
    expected = list(dict.fromkeys(rows))
    images, (finding,) = drop_repeated(images_of(boxes, labels, image))
    assert len(images.annotations.objects) == len(expected) == 2000 - finding.count
    assert images.annotations.objects.boxes.tolist() == [list(box) for _, _, box in expected]
