import numpy
import pytest
import torch

from tests.helpers.augments import joint_augment
from tests.helpers.batches import first_samples
from visionkit.data.annotations import Annotations, Objects
from visionkit.data.cache import decode_originals
from visionkit.data.collate.detection import DetectionBatchReader
from visionkit.data.dataset import FileDataset, TensorDataset
from visionkit.data.loader import BatchLoader
from visionkit.data.sampler import BatchSampler
from visionkit.data.transforms import InputTransform

SIZES = [(40, 20), (30, 60), (25, 25), (10, 50)]


def annotation(boxes, labels, crowd=None) -> Objects:
    area = [(right - left) * (bottom - top) * 0.5 for left, top, right, bottom in boxes]  # as if outlined
    return Objects.from_columns(boxes, labels, crowd=crowd, area=area)


ANNOTATIONS = [
    annotation([[2, 4, 12, 24], [0, 0, 20, 40]], [1, 0], [False, True]),
    annotation([], []),
    annotation([[5, 5, 20, 10], [5, 5, 5.5, 20]], [2, 3]),
    annotation([[0, 0, 10, 10]], [0]),
]


@pytest.fixture
def files(tmp_path, save_image) -> FileDataset:
    for index, size in enumerate(SIZES):
        save_image(tmp_path / f"{index}.png", size=size, seed=index)
    names = [f"{index}.png" for index in range(len(SIZES))]
    return FileDataset(tmp_path, names, in_channels=3, annotations=Annotations.join(ANNOTATIONS))


def whole(reader: DetectionBatchReader) -> dict:
    return reader.read(first_samples(len(reader.samples)))


def test_a_batch_holds_images_at_the_top_left_and_boxes_in_its_pixels(files):
    transform = InputTransform((40, 40), "letterbox")
    batch = whole(DetectionBatchReader(files, transform, training=True))
    assert batch["images"].shape == (4, 3, 40, 40)
    assert batch["images"].dtype == torch.uint8
    assert batch["image_sizes"].tolist() == [[40, 20], [20, 40], [40, 40], [8, 40]]
    for image, (height, width), index in zip(batch["images"], batch["image_sizes"].tolist(), range(4), strict=True):
        assert torch.equal(image[:, :height, :width], transform.fit(files.image(index)))
        assert int(image[:, height:].sum()) == int(image[:, :, width:].sum()) == 0
    assert batch["boxes"].shape == (4, 8, 4)
    assert batch["boxes"].dtype == torch.float32
    assert torch.allclose(batch["boxes"][2, 0], torch.tensor([8.0, 8.0, 32.0, 16.0]))
    assert batch["index"].tolist() == [0, 1, 2, 3]
    assert set(batch) == {"images", "image_sizes", "boxes", "labels", "index"}


def test_crowds_and_what_vanishes_are_no_targets(files):
    batch = whole(DetectionBatchReader(files, InputTransform((40, 40), "letterbox"), training=True))
    assert [row[row >= 0].tolist() for row in batch["labels"]] == [[1], [], [2], [0]]
    assert int((batch["boxes"] != 0).any(-1).sum()) == 3


def test_evaluation_holds_the_truth_in_original_pixels_bit_for_bit(files):
    batch = whole(DetectionBatchReader(files, InputTransform((17, 23), "resize"), training=False))
    assert batch["original_sizes"].tolist() == [list(size) for size in SIZES]
    for row, truth in enumerate(ANNOTATIONS):
        count = len(truth)
        assert numpy.array_equal(batch["truth_boxes"][row, :count], truth.boxes)
        assert numpy.array_equal(batch["truth_labels"][row, :count], truth.labels)
        assert numpy.array_equal(batch["truth_crowd"][row, :count], truth.crowd)
        assert numpy.array_equal(batch["truth_area"][row, :count], truth.area)
        assert (batch["truth_labels"][row, count:] == -1).all()
    assert {key: batch[key].dtype for key in batch if key.startswith("truth")} == {
        "truth_boxes": torch.float32,
        "truth_labels": torch.int64,
        "truth_crowd": torch.bool,
        "truth_area": torch.float32,
    }


@pytest.mark.parametrize(("count", "length"), [(1, 8), (8, 8), (9, 16), (17, 24)])
def test_the_number_of_places_is_a_multiple_of_eight(count, length):
    images = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    truth = annotation([[i, 0, i + 4, 4] for i in range(count)], [0] * count)
    samples = TensorDataset(images, None, torch.arange(1), prefix="x", annotations=Annotations.join([truth]))
    batch = whole(DetectionBatchReader(samples, InputTransform((32, 32), "letterbox"), training=False))
    assert batch["boxes"].shape == batch["truth_boxes"].shape == (1, length, 4)


@pytest.mark.parametrize("mode", ["letterbox", "resize_pad", "resize"])
def test_images_in_memory_make_the_same_batches_as_files(files, mode):
    transform = InputTransform((32, 32), mode, max_size=70)
    fitted = decode_originals(files, budget=10**7, strict=True, fit=transform)
    originals = decode_originals(files, budget=10**7, strict=True)
    readers = [
        DetectionBatchReader(files, transform, training=False),
        DetectionBatchReader(files, transform, training=False, cache=originals),
        DetectionBatchReader(files, transform, training=False, cache=fitted, prepared=True),
    ]
    first, *others = [whole(reader) for reader in readers]
    assert [reader.in_memory for reader in readers] == [False, True, True]
    for other in others:
        assert all(torch.equal(first[key], other[key]) for key in first)


def test_unreadable_images_are_left_out_with_their_objects_and_marked(files):
    (files.root / "0.png").write_bytes(b"broken")
    reader = DetectionBatchReader(files, InputTransform((40, 40), "letterbox"), training=False)
    batch = whole(reader)
    assert batch["index"].tolist() == [1, 2, 3]
    assert batch["truth_labels"].amax(1).tolist() == [-1, 3, 0]
    assert reader.unreadable.tolist() == [1, 0, 0, 0]


def test_a_file_of_another_size_than_its_annotation_says_counts_as_unreadable(files):
    files.sizes = torch.tensor([[20, 40], [0, 0], *map(list, SIZES[2:])])
    reader = DetectionBatchReader(files, InputTransform((40, 40), "letterbox"), training=False)
    assert whole(reader)["index"].tolist() == [1, 2, 3]
    with pytest.raises(Exception, match=r"0.png' is 20x40, but its annotation was made for 40x20 \(width x height\)"):
        files.image(0)


@pytest.mark.parametrize("augment", [{"horizontal_flip": {}, "photometric_distort": {}}, {"iou_crop": {}}])
def test_workers_make_the_same_batches_as_this_process(files, augment):
    transform = InputTransform((32, 32), "letterbox")
    reader = DetectionBatchReader(files, transform, training=True, augment=joint_augment(augment, transform))
    here, there = (
        BatchLoader(reader, BatchSampler(4, 2, training=True, seed=3), num_workers=workers, split="train")
        for workers in (0, 2)
    )
    batches = list(here)
    assert len(batches) == 2
    for one, other in zip(batches, there, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
