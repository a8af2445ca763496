"""Batches with the class of each pixel, and with the pixels of each object."""

import numpy
import pytest
import torch

from tests.helpers.augments import joint_augment, names_for
from tests.helpers.batches import first_samples
from visionkit.data.annotations import Annotations, Objects
from visionkit.data.cache import decode_originals
from visionkit.data.class_masks import MaskFiles, TensorMasks, resize_mask
from visionkit.data.collate.detection import InstanceBatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.dataset import FileDataset, TensorDataset
from visionkit.data.loader import BatchLoader
from visionkit.data.mask_values import ValueTable
from visionkit.data.polygons import Polygons
from visionkit.data.sampler import BatchSampler
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.structures.rle import decode_mask, unpack_masks

SIZES = [(40, 20), (30, 60), (25, 25), (10, 50)]
BOXES = [[[2, 4, 12, 24], [0, 0, 20, 40]], [], [[5, 5, 20, 10], [5, 5, 8, 20]], [[0, 0, 10, 10]]]
CROWD = [[False, True], [], [False, False], [False]]


def whole(reader) -> dict:
    return reader.read(first_samples(len(reader.samples)))


def rectangles(boxes) -> Polygons:
    return Polygons.from_list([[x, y, x2, y, x2, y2, x, y2] for x, y, x2, y2 in boxes], is_rle=False)


@pytest.fixture
def files(tmp_path, save_image) -> FileDataset:
    from PIL import Image

    for index, (height, width) in enumerate(SIZES):
        save_image(tmp_path / f"{index}.png", size=(height, width), seed=index)
        pixels = numpy.random.RandomState(index).randint(0, 3, (height, width)).astype(numpy.uint8)
        Image.fromarray(pixels).save(tmp_path / f"mask{index}.png")
    masks = MaskFiles(tmp_path, [f"mask{index}.png" for index in range(4)], ValueTable({0: 0, 1: 1}))
    return FileDataset(tmp_path, [f"{index}.png" for index in range(4)], in_channels=3, masks=masks)


@pytest.fixture
def instances(files) -> FileDataset:
    known = [
        Objects.from_columns(boxes, range(len(boxes)), crowd=crowd, segmentations=rectangles(boxes))
        for boxes, crowd in zip(BOXES, CROWD, strict=True)
    ]
    names = [f"{index}.png" for index in range(4)]
    return FileDataset(files.root, names, in_channels=3, annotations=Annotations.join(known))


def test_a_batch_holds_masks_at_the_top_left_and_nothing_that_counts_beside_them(files):
    batch = whole(SegmentationBatchReader(files, InputTransform((40, 40), "letterbox"), training=True))
    assert set(batch) == {"images", "image_sizes", "mask", "index"}
    assert (batch["mask"].shape, batch["mask"].dtype) == ((4, 40, 40), torch.uint8)
    for index, (mask, (height, width)) in enumerate(zip(batch["mask"], batch["image_sizes"].tolist(), strict=True)):
        assert torch.equal(mask[:height, :width], resize_mask(files.mask(index), (height, width)))
        assert (mask[height:] == 255).all()
        assert (mask[:, width:] == 255).all()
    assert set(batch["mask"].unique().tolist()) == {0, 1, 255}


def test_evaluation_holds_the_mask_in_original_pixels(files):
    batch = whole(SegmentationBatchReader(files, InputTransform((17, 23), "resize"), training=False))
    assert batch["original_sizes"].tolist() == [list(size) for size in SIZES]
    assert batch["truth_mask"].shape == (4, 40, 60)
    for index, (height, width) in enumerate(SIZES):
        assert torch.equal(batch["truth_mask"][index, :height, :width], files.mask(index))
        assert (batch["truth_mask"][index, height:] == 255).all()
        assert (batch["truth_mask"][index, :, width:] == 255).all()


def test_pixels_of_objects_lie_where_their_boxes_lie(instances):
    batch = whole(InstanceBatchReader(instances, InputTransform((80, 80), "letterbox"), training=True))
    assert (batch["masks"].shape, batch["masks"].dtype) == ((4, 8, 80, 80), torch.bool)
    assert batch["image_sizes"].tolist() == [[80, 40], [40, 80], [80, 80], [16, 80]]
    for masks, boxes, labels in zip(batch["masks"], batch["boxes"], batch["labels"], strict=True):
        for mask, box, label in zip(masks, boxes.tolist(), labels.tolist(), strict=True):
            rows, columns = (mask.any(axis).nonzero() for axis in (1, 0))
            if label < 0:
                assert not mask.any()
            else:
                found = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
                assert found == pytest.approx(box, abs=1)
                assert int(mask.sum()) == (found[2] - found[0]) * (found[3] - found[1])
    assert [row[row >= 0].tolist() for row in batch["labels"]] == [[0], [], [0, 1], [0]]


def test_evaluation_holds_the_pixels_of_objects_and_crowds_as_they_were_marked(instances):
    batch = whole(InstanceBatchReader(instances, InputTransform((17, 23), "resize"), training=False))
    total = 0
    for index, size in enumerate(SIZES):
        objects = instances.annotation(index)
        masks = [decode_mask(runs) for runs in unpack_masks(batch["truth_runs"][index], size)]
        assert len(masks) == len(objects)
        for mask, bits in zip(masks, objects.masks(*size), strict=True):
            assert numpy.array_equal(mask, bits)
        total += sum(int(mask.sum()) for mask in masks)
    assert total == sum((x2 - x) * (y2 - y) for boxes in BOXES for x, y, x2, y2 in boxes)


def test_the_truth_of_large_images_with_many_objects_is_small():
    count, size = 100, (3000, 4000)
    outlines = [[10 * i, 5, 10 * i + 900, 5, 10 * i + 900, 2900, 10 * i, 2900] for i in range(count)]
    boxes = [[10 * i, 5, 10 * i + 900, 2900] for i in range(count)]
    shapes = Polygons.from_list(outlines, is_rle=False)
    objects = Objects.from_columns(boxes, [0] * count, segmentations=shapes)
    samples = TensorDataset(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), None, torch.arange(1), prefix="x",
                            annotations=Annotations.join([objects]))  # fmt: skip
    reader = InstanceBatchReader(samples, InputTransform((8, 8), "resize"), training=False)
    truth = reader.original_target([objects], torch.tensor([size]))
    assert sum(value.nbytes for value in truth.values()) < count * size[0] * size[1] / 1000
    (first, *_, last) = unpack_masks(truth["truth_runs"][0], size)
    assert (decode_mask(first).sum(), decode_mask(last).sum()) == (900 * 2895, 900 * 2895)


@pytest.mark.parametrize("mode", ["letterbox", "resize_pad", "resize"])
@pytest.mark.parametrize("kind", [SegmentationBatchReader, InstanceBatchReader])
def test_images_in_memory_make_the_same_batches_as_files(files, instances, kind, mode):
    samples = files if kind is SegmentationBatchReader else instances
    transform = InputTransform((32, 32), mode, max_size=70)
    fitted = decode_originals(samples, budget=10**7, strict=True, fit=transform)
    originals = decode_originals(samples, budget=10**7, strict=True)
    first, *others = [
        whole(kind(samples, transform, training=False)),
        whole(kind(samples, transform, training=False, cache=originals)),
        whole(kind(samples, transform, training=False, cache=fitted, prepared=True)),
    ]
    for other in others:
        assert set(first) == set(other)
        assert all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", ["2.png", "mask2.png"])
def test_what_cannot_be_read_is_left_out_and_marked(files, name):
    (files.root / name).write_bytes(b"broken")
    reader = SegmentationBatchReader(files, InputTransform((40, 40), "letterbox"), training=False)
    batch = whole(reader)
    assert batch["index"].tolist() == [0, 1, 3]
    assert torch.equal(batch["truth_mask"][2, :10, :50], files.mask(3))
    assert reader.unreadable.tolist() == [0, 0, 1, 0]
    with pytest.raises(UserError, match=rf"{name}' cannot be read: .* Or leave out what cannot be read: strict=false"):
        whole(SegmentationBatchReader(files, InputTransform((40, 40), "letterbox"), training=False, strict=True))


@pytest.mark.parametrize(("training", "indices"), [(True, [0, 1, 3]), (False, [0, 1])])
def test_a_mask_that_is_lost_while_its_image_lies_in_memory_is_replaced_or_left_out(files, training, indices):
    decoded = decode_originals(files, budget=10**7, strict=True)
    (files.root / "mask2.png").unlink()
    options = {"training": training, "cache": decoded}
    reader = SegmentationBatchReader(files, InputTransform((40, 40), "letterbox"), **options)
    assert reader.read(first_samples(3))["index"].tolist() == indices  # the one that replaces is not in the batch
    assert reader.unreadable.tolist() == [0, 0, 1, 0]
    strict = SegmentationBatchReader(files, InputTransform((40, 40), "letterbox"), strict=True, **options)
    with pytest.raises(UserError, match=r"mask2.png' does not exist"):
        strict.read(first_samples(3))


@pytest.mark.parametrize("kind", [SegmentationBatchReader, InstanceBatchReader])
def test_workers_make_the_same_batches_as_this_process(files, instances, kind):
    samples = files if kind is SegmentationBatchReader else instances
    transform = InputTransform((32, 32), "letterbox")
    joining = {"mosaic": {"p": 0.5}, "copy_paste": {}}
    augment = joint_augment({"scale_jitter": {}, **joining, "affine": {"degrees": 9}}, transform)
    reader = kind(samples, transform, training=True, augment=augment)
    here, there = (
        BatchLoader(reader, BatchSampler(4, 2, training=True, seed=3), num_workers=workers, split="train")
        for workers in (0, 2)
    )
    batches = list(here)
    assert len(batches) == 2
    for one, other in zip(batches, there, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


AUGMENTS = {
    "scale_jitter": {"scale_range": [0.3, 1.7]},
    "mosaic": {"scale_range": [0.5, 0.9], "fill": 0},
    "copy_paste": {"p": 1.0},
    "zoom_out": {"fill": 0, "p": 1.0},
    "random_resized_crop": {},
    "horizontal_flip": {"p": 0.5},
    "vertical_flip": {},
    "rotation": {"degrees": 30},
    "affine": {"degrees": 30, "translate": [0.3, 0.3], "fill": 0},
    "perspective": {"distortion_scale": 0.6, "p": 1.0},
    "photometric_distort": {"p": 1.0},
    "gaussian_blur": {"kernel_size": 3},
}


def test_every_augmentation_that_moves_masks_has_an_example():
    colours = {"color_jitter", "grayscale"}
    assert set(AUGMENTS) == names_for("mask") - colours


@pytest.mark.parametrize("name", sorted(AUGMENTS))
def test_a_mask_moves_with_its_image_and_what_comes_from_outside_is_ignored(name):
    """An image whose pixels are 100 and 200 in large blocks, which a mask calls 0 and 1; outside is black."""
    image = torch.full((1, 64, 96), 100, dtype=torch.uint8)
    image[:, 16:48, 30:70] = 200
    truth = (image[0] > 150).to(torch.uint8)
    samples = TensorDataset(
        image.expand(16, 1, 64, 96), None, torch.arange(16), prefix="x", masks=TensorMasks(truth.expand(16, 64, 96))
    )
    transform = InputTransform((48, 64), "letterbox")
    augment = joint_augment({name: AUGMENTS[name]}, transform, mask_fill=255)
    batch = whole(SegmentationBatchReader(samples, transform, training=True, augment=augment))
    assert batch["mask"].shape == (16, *batch["images"].shape[-2:])
    pixels, mask = batch["images"][:, 0].float(), batch["mask"]
    assert set(mask.unique().tolist()) <= {0, 1, 255}
    if name == "photometric_distort":
        return
    expected = torch.where(pixels < 50, 255, (pixels > 150).int())
    assert float((mask == expected).float().mean()) > 0.96  # edges are blurred in one and sharp in the other
    if name in ("scale_jitter", "mosaic", "zoom_out", "affine", "rotation"):
        assert (mask == 255).any()


def test_pixels_of_objects_move_with_their_boxes(instances):
    transform = InputTransform((60, 60), "resize")
    augment = joint_augment({"horizontal_flip": {"p": 1.0}, "iou_crop": {}}, transform)
    batch = whole(InstanceBatchReader(instances, transform, training=True, augment=augment))
    assert int((batch["labels"] >= 0).sum()) >= 2
    for masks, boxes, labels in zip(batch["masks"], batch["boxes"], batch["labels"], strict=True):
        for mask, box, label in zip(masks, boxes.tolist(), labels.tolist(), strict=True):
            if label >= 0:
                rows, columns = (mask.any(axis).nonzero() for axis in (1, 0))
                found = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
                assert found == pytest.approx(box, abs=4)  # small images enlarged sixfold: a pixel is some of these


def test_objects_of_which_no_pixel_remains_are_no_targets(instances):
    thin = Polygons.from_list(
        [[1.0, 1.0, 1.2, 1.0, 1.2, 1.2]], is_rle=False
    )  # a box of two pixels' side around nothing
    known = Objects.from_columns([[1, 1, 3, 3]], [0], segmentations=thin)
    samples = TensorDataset(
        torch.zeros(1, 1, 32, 32, dtype=torch.uint8), None, torch.arange(1), prefix="x",
        annotations=Annotations.join([known]),
    )  # fmt: skip
    batch = whole(InstanceBatchReader(samples, InputTransform((32, 32), "letterbox"), training=False))
    assert int(batch["labels"].max()) == -1
    assert batch["truth_labels"][0, 0] == 0
