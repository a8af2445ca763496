import gzip
import hashlib
import pickle
import tracemalloc
from pathlib import Path

import numpy
import pytest
import torch
import torchvision

from tests.helpers.paths import SHARED_DATA
from visionkit.data.sources import parse_source
from visionkit.errors import UserError

SHARED = SHARED_DATA


@pytest.fixture
def make_cifar(tmp_path: Path, monkeypatch):
    """A root with CIFAR-10's or CIFAR-100's files, a few images each; torchvision is told their checksums."""

    def make(hundred: bool) -> Path:
        cls = torchvision.datasets.CIFAR100 if hundred else torchvision.datasets.CIFAR10
        home = tmp_path / cls.base_folder
        home.mkdir()

        def write(name: str, content: dict) -> list[str]:
            data = pickle.dumps(content)
            (home / name).write_bytes(data)
            return [name, hashlib.md5(data).hexdigest()]

        for attribute in ("train_list", "test_list"):
            entries = []
            for number, (name, _) in enumerate(getattr(cls, attribute)):
                pixels = numpy.random.RandomState(number).randint(0, 256, (20, 3072)).astype(numpy.uint8)
                labels = [index % 10 for index in range(20)]
                entries.append(write(name, {"data": pixels, "fine_labels" if hundred else "labels": labels}))
            monkeypatch.setattr(cls, attribute, entries)
        name, md5 = write(cls.meta["filename"], {cls.meta["key"]: ["x"] * 10})
        monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5})
        return tmp_path

    return make


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_validation_is_held_out_of_train_and_test_is_left_as_it_is(settings, make_mnist, name, folder):
    source = parse_source(settings(name, root=str(make_mnist(folder=folder)), val_size=20))
    source.check()
    splits = source.splits(seed=0)
    train, val, test = (splits.samples[split] for split in ("train", "val", "test"))
    names = [samples.name(i) for samples in (train, val) for i in range(len(samples))]
    assert sorted(names) == sorted(f"train/{number}" for number in range(60))
    assert [test.name(i) for i in range(len(test))] == [f"test/{number}" for number in range(20)]
    assert torch.bincount(val.labels).tolist() == [2] * 10
    assert splits.notes == ["validation held out of train: 20 of 60"]
    assert splits.saved is None


def test_images_and_labels_stay_together(settings, make_mnist):
    samples = parse_source(settings("mnist", root=str(make_mnist()), val_size=20)).splits(seed=0).samples["val"]
    for index in range(len(samples)):
        number = int(samples.name(index).removeprefix("train/"))
        assert int(samples.image(index)[0, 0, 0]) == number
        assert int(samples.labels[index]) == number % 10


def test_the_division_does_not_follow_the_runs_seed(settings, make_mnist):
    source = parse_source(settings("mnist", root=str(make_mnist()), val_size=20))
    first, second = (source.splits(seed=seed).samples["val"] for seed in (0, 1))
    assert torch.equal(first.positions, second.positions)


def test_mnist_is_padded_and_may_be_stretched_instead(settings):
    image = torch.full((1, 28, 28), 255, dtype=torch.uint8)
    padded = parse_source(settings("mnist")).input_transform()(image)
    stretched = parse_source(settings("mnist", fit="resize")).input_transform()(image)
    assert int((padded == 255).sum()) == 28 * 28
    assert int((stretched == 255).sum()) == 32 * 32


@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_images_are_channels_first(settings, make_cifar, hundred):
    root = make_cifar(hundred)
    source = parse_source(settings("cifar100" if hundred else "cifar10", root=str(root), val_size=10))
    source.check()
    samples = source.splits(seed=0).samples["test"]
    pixels = numpy.random.RandomState(0).randint(0, 256, (20, 3072)).astype(numpy.uint8)
    assert samples.image(3).shape == (3, 32, 32)
    assert samples.image(3).flatten().tolist() == pixels[3].tolist()
    assert int(samples.labels[13]) == 3


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "MNIST/raw' lacks train-images-idx3-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw' lacks train-images"),
        ("cifar10", r"cifar-10-batches-py' lacks data_batch_1.*\(or cifar-10-python.tar.gz, unpacked"),
        ("cifar100", "cifar-100-python' lacks train, test, meta"),
    ],
)
def test_missing_files_say_where_they_must_lie_and_how_to_fetch_them(settings, tmp_path, name, place):
    source = parse_source(settings(name, root=str(tmp_path)))
    with pytest.raises(UserError, match=rf"{place}.*dataset.download=true.*dataset.root=path"):
        source.check()
    with pytest.raises(UserError, match=r"dataset.download=true"):
        source.splits(seed=0)


def test_with_download_allowed_missing_files_pass_the_check(settings, tmp_path):
    assert parse_source(settings("mnist", root=str(tmp_path), download=True)).check() is None


def test_packed_files_are_read_where_they_lie_alone(settings, make_mnist):
    root = make_mnist()
    expected = parse_source(settings("mnist", root=str(root), val_size=10)).splits(seed=0).samples
    raw = root / "MNIST" / "raw"
    for path in list(raw.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    source = parse_source(settings("mnist", root=str(root), val_size=10))
    source.check()
    samples = source.splits(seed=0).samples
    for split in ("train", "val", "test"):
        assert torch.equal(samples[split].images, expected[split].images)
        assert torch.equal(samples[split].labels, expected[split].labels)
    assert all(path.suffix == ".gz" for path in raw.iterdir())


def test_a_packed_file_cut_short_is_named(settings, make_mnist):
    root = make_mnist()
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    with pytest.raises(UserError, match=r"MNIST/raw' cannot be read"):
        parse_source(settings("mnist", root=str(root), val_size=10)).splits(seed=0)


@pytest.mark.parametrize(
    ("sides", "message"),
    [((60000, 1000, 1000), "'train-images-idx3-ubyte' is to have 60,000,000,000 values, and at most"), ((2, 3, 4), "")],
)
def test_a_packed_file_that_swells_is_not_unpacked(settings, make_mnist, sides, message):
    root = make_mnist()
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.unlink()
    content = b"\0\0\x08\x03" + numpy.array(sides, dtype=">u4").tobytes() + bytes(100 * 2**20)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    tracemalloc.start()
    with pytest.raises(UserError, match=rf"MNIST/raw' cannot be read: .*{message}"):
        parse_source(settings("mnist", root=str(root), val_size=10)).splits(seed=0)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_a_failed_download_says_what_to_put_where(settings, tmp_path, monkeypatch):
    def fail(self):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", fail)
    message = (
        r"could not be downloaded .*no network.*cifar-10-batches-py' must hold data_batch_1.*unpacked from cifar-10"
    )
    with pytest.raises(UserError, match=message):
        parse_source(settings("cifar10", root=str(tmp_path), download=True)).prepare()


def test_nothing_is_downloaded_where_it_is_not_allowed_or_not_needed(settings, tmp_path, make_mnist, monkeypatch):
    def fail(self):
        raise AssertionError("asked for a download")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", fail)
    assert parse_source(settings("mnist", root=str(tmp_path))).prepare() is None
    assert parse_source(settings("mnist", root=str(make_mnist()), download=True)).prepare() is None


def test_a_root_that_is_not_given_says_what_to_type(settings):
    with pytest.raises(UserError, match=r"dataset 'mnist' needs a folder.*dataset.root=data"):
        parse_source(settings("mnist", root=None)).check()


def test_a_root_that_is_a_file_says_so(settings, tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(UserError, match=r"is a file, not a folder. Expected the folder that holds 'MNIST/raw'"):
        parse_source(settings("mnist", root=str(tmp_path / "a"))).check()


def test_broken_files_name_their_folder(settings, make_mnist):
    root = make_mnist()
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"MNIST/raw' cannot be read: .*dataset.download=true"):
        parse_source(settings("mnist", root=str(root), val_size=5)).splits(seed=0)


def test_more_validation_than_training_samples_says_what_to_type(settings, make_mnist):
    with pytest.raises(UserError, match=r"dataset.val_size: 60 of the 60 .*Try: dataset.val_size=6"):
        parse_source(settings("mnist", root=str(make_mnist()), val_size=60)).splits(seed=0)


def test_the_real_mnist_has_the_known_sizes_and_mean(settings, tmp_path):
    packed = SHARED / "MNIST" / "raw"
    if not packed.is_dir():
        pytest.skip("../shared/data/MNIST is absent")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in packed.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    splits = parse_source(settings("mnist", root=str(tmp_path))).splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {
        "train": 55000,
        "val": 5000,
        "test": 10000,
    }
    mean = splits.samples["train"].images.sum(dtype=torch.int64) / (255 * 60000 * 28 * 28)
    assert abs(float(mean) - 0.1307) < 5e-5  # four digits are written
    assert torch.bincount(splits.samples["test"].labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
