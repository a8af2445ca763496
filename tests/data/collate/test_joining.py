"""Batches of images that are joined with others of their split."""

import pytest
import torch

from tests.helpers.augments import joint_augment
from tests.helpers.batches import first_samples
from visionkit.config_files import read_group_file
from visionkit.data.collate.detection import InstanceBatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.dataset import FileDataset
from visionkit.data.sampler import BatchSampler
from visionkit.data.sources import parse_source
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

TRANSFORM = InputTransform((64, 64), "letterbox")
KINDS = {"instances": InstanceBatchReader, "mask": SegmentationBatchReader}
JOINING = {
    "instances": {"mosaic": {"p": 0.5}, "copy_paste": {}, "mixup": {}, "horizontal_flip": {}},
    "mask": {"mosaic": {"p": 0.5}, "copy_paste": {}, "horizontal_flip": {}},
}


@pytest.fixture(scope="module")
def scenes():
    """The training splits of a dozen scenes, by target."""
    values = read_group_file("dataset", "digits")
    values |= {"image_size": 64, "scenes": {**values["scenes"], "train": 12, "val": 1, "test": 1}}
    source = parse_source(values)
    return {target: source.for_target(target).splits(seed=0).samples["train"] for target in KINDS}


def reader_of(scenes, target, augment=None, **options):
    augment = joint_augment(JOINING[target] if augment is None else augment, TRANSFORM)
    return KINDS[target](scenes[target], TRANSFORM, augment=augment, training=True, **options)


def batches(reader, epochs=1, *, epochs_of_run=None, **options):
    sampler = BatchSampler(len(reader.samples), 4, training=True, seed=1, epochs=epochs_of_run, **options)
    return [reader.read(indices) for _ in range(epochs) for indices in sampler]


def rows(batch):
    """Each sample of a batch, without what pads it."""
    for number in range(len(batch["index"])):
        sample = {name: value[number] for name, value in batch.items()}
        if "labels" in sample:
            keep = sample["labels"] >= 0
            sample |= {name: sample[name][keep] for name in ("labels", "boxes", "masks")}
        yield sample


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("target", KINDS)
def test_images_are_joined_alike_on_one_and_two_processes(scenes, target):
    whole = batches(reader_of(scenes, target))
    shares = [batches(reader_of(scenes, target), rank=rank, world_size=2) for rank in range(2)]
    for number, batch in enumerate(whole):
        parts = [list(rows(share[number])) for share in shares]
        assert all(equal(sample, parts[place % 2][place // 2]) for place, sample in enumerate(rows(batch)))


@pytest.mark.parametrize("target", KINDS)
def test_an_epoch_that_goes_on_joins_what_it_would_have_joined(scenes, target):
    whole = batches(reader_of(scenes, target))
    reader = reader_of(scenes, target)
    sampler = BatchSampler(len(reader.samples), 4, training=True, seed=1)
    sampler.start_at(2)
    (last,) = (reader.read(indices) for indices in sampler)
    assert equal(last, whole[2])


def test_the_last_epochs_are_those_of_unjoined_images(scenes):
    joining = reader_of(scenes, "instances", {"mosaic": {"off_last": 0.5}, "horizontal_flip": {}})
    alone = reader_of(scenes, "instances", {"horizontal_flip": {}})
    pairs = zip(batches(joining, epochs=2, epochs_of_run=2), batches(alone, epochs=2, epochs_of_run=2), strict=True)
    assert [equal(*pair) for pair in pairs] == [False] * 3 + [True] * 3


def test_masks_of_joined_objects_lie_within_their_boxes(scenes):
    for batch in batches(reader_of(scenes, "instances"), epochs=4):
        for sample in rows(batch):
            assert len(sample["labels"])
            for box, mask in zip(sample["boxes"], sample["masks"], strict=True):
                where = mask.nonzero().float()
                # the nearest pixel of a resized mask is half a pixel off at each edge
                assert (where.amin(0).flip(0) >= box[:2] - 1).all()
                assert (where.amax(0).flip(0) + 1 <= box[2:] + 1).all()


@pytest.fixture
def photos(tmp_path, save_image):
    """Four images of files with a box each, of which the last is broken."""
    from visionkit.data.annotations import Annotations, Objects

    for index in range(4):
        save_image(tmp_path / f"{index}.png", size=(20, 20), seed=index)
    (tmp_path / "3.png").write_bytes(b"broken")
    objects = [Objects.from_columns([[2, 2, 9, 9]], [index]) for index in range(4)]
    names = [f"{index}.png" for index in range(4)]
    return FileDataset(tmp_path, names, in_channels=3, annotations=Annotations.join(objects))


def test_a_partner_that_cannot_be_read_is_replaced_by_the_next_and_named(photos):
    from visionkit.data.collate.detection import DetectionBatchReader

    augment = joint_augment({"mixup": {"p": 1.0}}, TRANSFORM)
    reader = DetectionBatchReader(photos, TRANSFORM, augment=augment, training=True)
    labels = [reader.read(first_samples(3, seed=seed))["labels"] for seed in range(6)]
    assert reader.unreadable.tolist() == [0, 0, 0, 1]
    assert {int(label) for batch in labels for label in batch.flatten()} == {-1, 0, 1, 2}
    assert all(bool((batch >= 0).sum(dim=1).eq(2).all()) for batch in labels)
    strict = DetectionBatchReader(photos, TRANSFORM, augment=augment, training=True, strict=True)
    with pytest.raises(UserError, match=r"3.png'.*Or leave out what cannot be read: strict=false"):
        [strict.read(first_samples(3, seed=seed)) for seed in range(6)]
