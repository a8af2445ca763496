"""What runs in one process share of their data."""

import numpy
import pytest
from PIL import Image

import visionkit.data.datamodule as module
from visionkit.data import VisionDataModule
from visionkit.data.shared_cache import SharedCache
from visionkit.data.sources import read_source


@pytest.fixture
def photos(tmp_path):
    random = numpy.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(20):
            pixels = random.integers(0, 256, (12, 12, 3), dtype=numpy.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    return tmp_path


@pytest.fixture
def decoded(monkeypatch):
    """How many splits have been decoded."""
    counts = []
    real = module.decode_prepared
    monkeypatch.setattr(module, "decode_prepared", lambda *a, **k: counts.append(1) or real(*a, **k))
    return counts


def data(photos, shared, *, seed=0, **changes):
    source = read_source({"type": "folder", "root": str(photos), "image_size": 8, "augment": {}, **changes})
    made = VisionDataModule(source, batch_size=8, seed=seed, shared=shared)
    made.prepare_data()
    made.setup(None)
    return made


def images(datamodule, split="val"):
    return [batch["images"] for batch in datamodule.loader(split)]


def test_a_second_run_decodes_nothing_and_sees_the_same_images(photos, decoded):
    shared = SharedCache()
    first = images(data(photos, shared))
    assert len(decoded) == 3
    second = images(data(photos, shared))
    assert len(decoded) == 3
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_without_sharing_each_run_decodes(photos, decoded):
    data(photos, None)
    data(photos, None)
    assert len(decoded) == 6


def test_a_seed_that_divides_otherwise_has_its_own_images_and_a_fixed_division_has_not(photos, decoded):
    shared = SharedCache()
    one, two = data(photos, shared, seed=0), data(photos, shared, seed=1)
    assert len(decoded) == 6
    names = [{d.dataset("val").name(i) for i in range(d.sizes["val"])} for d in (one, two)]
    assert names[0] != names[1]
    decoded.clear()
    data(photos, shared, seed=2, split_seed=5)
    data(photos, shared, seed=3, split_seed=5)
    assert len(decoded) == 3


@pytest.mark.parametrize("changes", [{"image_size": 10}, {"in_channels": 1}, {"fit": "pad"}, {"val_fraction": 0.3}])
def test_another_setting_of_the_images_is_read_anew(photos, decoded, changes):
    shared = SharedCache()
    data(photos, shared)
    data(photos, shared, **changes)
    assert len(decoded) == 6


def test_random_changes_and_normalisation_do_not_matter_to_what_is_kept(photos, decoded):
    shared = SharedCache()
    data(photos, shared)
    data(photos, shared, augment={"horizontal_flip": {"p": 0.5}}, mean=[0.1, 0.1, 0.1], num_workers=0)
    assert len(decoded) == 3


def test_never_more_is_held_than_cache_mb_and_the_oldest_goes_first(photos, decoded):
    """600x600x3 bytes for 28, 6 and 6 images are 28.8, 6.2 and 6.2 MiB."""
    shared = SharedCache()
    data(photos, shared, image_size=600, cache_mb=45)
    one = shared.nbytes
    assert 40 * 2**20 < one <= 45 * 2**20
    data(photos, shared, image_size=601, cache_mb=45)
    assert shared.nbytes <= 45 * 2**20
    assert len(decoded) == 6
    data(photos, shared, image_size=600, cache_mb=45)
    assert len(decoded) == 9


def test_without_memory_nothing_is_held(photos):
    shared = SharedCache()
    data(photos, shared, cache_mb=0)
    assert shared.nbytes == 0


def test_the_samples_of_digits_are_read_once_for_all_seeds(monkeypatch):
    import sklearn.datasets

    reads = []
    real = sklearn.datasets.load_digits
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: reads.append(1) or real())
    shared = SharedCache()
    source = read_source({"type": "digits", "image_size": 32})
    for seed in (0, 1, 2):
        made = VisionDataModule(source, batch_size=8, seed=seed, shared=shared)
        made.setup(None)
        assert made.sizes == {"train": 1257, "val": 270, "test": 270}
    assert len(reads) == 1
