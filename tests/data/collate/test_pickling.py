"""Spawned workers get their reader as a pickle; that they read the same is shown here without starting any."""

from pathlib import Path

import numpy
import pytest
import torch

from tests.helpers.batches import first_samples
from visionkit.data.annotations import Annotations, Objects
from visionkit.data.augment.parsing import check_targets, parse_augments
from visionkit.data.augment.spec import AUGMENTATIONS
from visionkit.data.cache import decode_originals
from visionkit.data.class_masks import MaskFiles, RasterizedMasks
from visionkit.data.dataset import FileDataset
from visionkit.data.mask_values import ValueTable
from visionkit.data.polygons import Polygons
from visionkit.data.shared_memory import SharedPickle
from visionkit.data.transforms import InputTransform
from visionkit.registry import load
from visionkit.tasks.info import TASKS

REQUIRED = {
    "affine": {"degrees": 10},
    "gaussian_blur": {"kernel_size": 3},
    "random_crop": {"padding": 2},
    "rotation": {"degrees": 15},
}
READERS = {task.target: load(task.batch_reader) for task in TASKS.values()}
CASES = [
    (target, name)
    for target in sorted(READERS)
    for name in [None, *AUGMENTATIONS.names()]
    if name is None or AUGMENTATIONS.get(name).supports([target])
]


@pytest.fixture
def make_samples(tmp_path: Path, save_image):
    """Three image files with any kind of target."""

    def make(target: str) -> FileDataset:
        for index in range(3):
            save_image(tmp_path / f"{index}.png", size=(12, 14), seed=index)
            save_image(tmp_path / f"mask{index}.png", size=(12, 14), mode="L", seed=index)
        ring = numpy.array([2, 2, 10, 2, 10, 9, 2, 9], dtype=float)
        objects = Objects.from_columns([[2, 2, 10, 9]], [0], segmentations=Polygons.from_list([ring], is_rle=False))
        annotations = Annotations.join([objects] * 3)
        masks = MaskFiles(tmp_path, [f"mask{index}.png" for index in range(3)], ValueTable({0: 0, 1: 1}))
        return FileDataset(
            tmp_path,
            [f"{index}.png" for index in range(3)],
            in_channels=3,
            annotations=annotations if target in ("boxes", "instances") else None,
            masks=masks if target == "mask" else None,
        )

    return make


def assert_reads_the_same(reader, samples=3):
    loaded = SharedPickle(reader).load()
    expected, found = reader.read(first_samples(samples)), loaded.read(first_samples(samples))
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(("target", "name"), CASES)
def test_a_pickled_reader_reads_and_augments_the_same(make_samples, target, name):
    transform = InputTransform((16, 16), "letterbox" if target != "label" else "resize")
    augments = parse_augments({name: REQUIRED.get(name, {})} if name else {}, where="dataset.augment")
    check_targets(augments, where="dataset.augment", targets=[target])
    cls = READERS[target]
    assert_reads_the_same(cls(make_samples(target), transform, augment=cls.make_augment(augments, transform)))


@pytest.mark.parametrize("target", ["boxes", "mask"])
def test_decoded_images_and_rasterized_masks_are_shared(make_samples, target):
    samples = make_samples("instances")
    if target == "mask":
        samples.masks = RasterizedMasks(samples.annotations, torch.tensor([[12, 14]] * 3))
        samples.annotations = None
    cache = decode_originals(samples, budget=1 << 20, strict=True)
    reader = READERS[target](samples, InputTransform((16, 16), "letterbox"), cache=cache)
    assert_reads_the_same(reader)
    loaded = SharedPickle(reader).load()
    loaded.cache.images[0] = 9
    assert int(cache.images[0].float().mean()) == 9
