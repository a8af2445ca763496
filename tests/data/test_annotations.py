import torch

from visionkit.data.annotations import Annotation, Annotations


def objects(*labels: int) -> Annotation:
    count = len(labels)
    boxes = torch.tensor(labels, dtype=torch.float32)[:, None] + torch.tensor([0.0, 0.0, 10.0, 20.0])
    crowd = torch.tensor([label > 7 for label in labels], dtype=torch.bool)
    return Annotation(boxes, torch.tensor(labels, dtype=torch.int64), crowd, torch.full((count,), 200.0))


def test_the_objects_of_each_image_come_back_as_they_were_laid_in():
    images = [objects(3, 8), objects(), objects(1)]
    annotations = Annotations.join(images)
    assert len(annotations) == 3
    for index, image in enumerate(images):
        found = annotations[index]
        assert torch.equal(found.boxes, image.boxes)
        assert torch.equal(found.labels, image.labels)
        assert torch.equal(found.crowd, image.crowd)
        assert torch.equal(found.area, image.area)


def test_images_are_chosen_in_any_order_with_their_objects():
    annotations = Annotations.join([objects(3, 8), objects(), objects(1), objects(4, 5, 6)])
    chosen = annotations.select(torch.tensor([3, 1, 0]))
    assert [chosen[i].labels.tolist() for i in range(3)] == [[4, 5, 6], [], [3, 8]]
    assert torch.equal(chosen[2].boxes, annotations[0].boxes)


def test_a_split_without_images_is_one_too():
    assert len(Annotations.join([objects(1)]).select(torch.zeros(0, dtype=torch.int64))) == 0


def test_the_size_is_that_of_the_arrays():
    annotations = Annotations.join([objects(3, 8), objects()])
    assert annotations.nbytes == 3 * 8 + 2 * (16 + 8 + 1 + 4)
