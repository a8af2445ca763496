import gc
import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.augments import augment
from tests.helpers.process_group import run_in_group
from visionkit.data.collate.base import BatchReader
from visionkit.data.dataset import FileDataset, TensorDataset
from visionkit.data.loader import BatchLoader
from visionkit.data.sampler import BatchIndices, BatchSampler
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

FORK, SPAWN, FORKSERVER = "fork", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spawn", "forkserver"))
"""How workers are started; those that are no copies of this process import torch, which takes seconds."""


@pytest.fixture
def samples() -> TensorDataset:
    images = torch.randint(0, 256, (21, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return TensorDataset(images, torch.arange(21) % 3, torch.arange(21), prefix="train")


@pytest.fixture
def files(tmp_path: Path, save_image) -> FileDataset:
    for index in range(6):
        save_image(tmp_path / f"{index}.png", size=(6 + index, 7), seed=index)
    return FileDataset(tmp_path, [f"{index}.png" for index in range(6)], torch.arange(6), in_channels=3)


def test_a_process_without_a_sample_evaluates_nothing(samples):
    order = BatchSampler(2, 1, training=False, seed=0, rank=2, world_size=3)
    loader = BatchLoader(BatchReader(samples, InputTransform((8, 8), "pad")), order, split="val")
    assert list(loader) == []
    assert len(loader) == 1  # of 0 batches Lightning would make no evaluation


def _epoch(rank, files, training):
    order = BatchSampler(len(files), 4, training=training, seed=0, rank=rank, world_size=2)
    reader = BatchReader(files, InputTransform((5, 5)), training=training)
    loader = BatchLoader(reader, order, split="val")
    try:
        found = [batch["index"].tolist() for batch in loader]
        loader.sync_unreadable()
    except UserError as error:
        return str(error)
    return found, reader.unreadable.tolist()


def _break(files, indices):
    for index in indices:
        Path(files.name(index)).write_bytes(b"broken")


def test_files_that_one_process_alone_cannot_read_become_known_to_all(files, tmp_path):
    _break(files, (1, 3, 5))
    shares = run_in_group(2, _epoch, files, False, folder=tmp_path)
    assert shares == [([[0, 2], [4]], [0, 1, 0, 1, 0, 1]), ([], [0, 1, 0, 1, 0, 1])]


def test_unreadable_files_are_replaced_in_training_by_the_next_in_the_data_sets_order(files, tmp_path):
    ((planned, *_),) = BatchSampler(6, 4, training=True, seed=0)
    broken = planned[:2].tolist()
    _break(files, broken)

    def replacement(index):
        return next(i % 6 for i in range(index, index + 6) if i % 6 not in broken)

    ((first,), marks), ((second,), others) = run_in_group(2, _epoch, files, True, folder=tmp_path)
    assert first == [replacement(index) for index in planned[0::2].tolist()]
    assert second == [replacement(index) for index in planned[1::2].tolist()]
    assert marks == others == [int(index in broken) for index in range(6)]


def test_a_split_that_no_process_can_read_is_an_error_in_all(files, tmp_path):
    _break(files, range(6))
    for training, split in ((False, "val"), (True, "train")):
        said = run_in_group(2, _epoch, files, training, folder=tmp_path)
        assert said[0] == said[1]
        assert said[0].startswith(f"none of the 6 images of the {split} split can be read")


def test_a_batch_from_memory_holds_images_labels_and_positions(samples):
    reader = BatchReader(samples, InputTransform((8, 8), "pad"))
    batch = next(iter(BatchLoader(reader, BatchSampler(21, 4, training=False, seed=0), split="val")))
    assert batch["images"].shape == (4, 1, 8, 8)
    assert batch["images"].dtype == torch.uint8
    assert torch.equal(batch["images"][:, :, 1:7, 1:7], samples.images[:4])
    assert batch["label"].tolist() == [0, 1, 2, 0]
    assert batch["index"].tolist() == [0, 1, 2, 3]
    assert batch["label"].dtype == batch["index"].dtype == torch.int64


@pytest.mark.parametrize("method", [FORK, SPAWN, FORKSERVER])
def test_workers_make_the_same_batches_as_this_process(samples, method):
    change = augment({"affine": {"degrees": 20}, "color_jitter": {"brightness": 0.5}}, (6, 6))
    reader = BatchReader(samples, InputTransform((6, 6)), augment=change)
    here, there = (
        BatchLoader(
            reader,
            BatchSampler(21, 4, training=True, seed=0),
            num_workers=workers,
            split="train",
            start_method=method,
        )
        for workers in (0, 2)
    )
    for _ in range(2):
        for one, other in zip(here, there, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in ("images", "label", "index"))


def test_files_are_preprocessed_one_by_one(files):
    transform = InputTransform((5, 5))
    batches = list(BatchLoader(BatchReader(files, transform), BatchSampler(6, 4, training=False, seed=0), split="val"))
    assert [len(batch["label"]) for batch in batches] == [4, 2]
    assert torch.equal(batches[1]["images"][1], transform(files.image(5)))


@pytest.mark.parametrize("method", [None, FORK, SPAWN, FORKSERVER])
def test_unreadable_files_are_left_out_and_marked(files, method):
    for index in (0, 1, 4):
        Path(files.name(index)).write_bytes(b"broken")
    reader = BatchReader(files, InputTransform((5, 5)))
    loader = BatchLoader(
        reader,
        BatchSampler(6, 2, training=False, seed=0),
        num_workers=int(method is not None),
        split="val",
        start_method=method,
    )
    assert [batch["index"].tolist() for batch in loader] == [[2, 3], [5]]
    assert reader.unreadable.tolist() == [1, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("method", [None, FORK, SPAWN])
def test_training_batches_stay_full_beside_unreadable_files(files, method):
    Path(files.name(3)).write_bytes(b"broken")
    reader = BatchReader(files, InputTransform((5, 5)), training=True)
    loader = BatchLoader(
        reader,
        BatchSampler(6, 2, training=True, seed=0),
        num_workers=int(method is not None),
        split="train",
        start_method=method,
    )
    for _ in range(2):
        assert sorted(index for batch in loader for index in batch["index"].tolist()) == [0, 1, 2, 4, 4, 5]
    assert reader.unreadable.tolist() == [0, 0, 0, 1, 0, 0]


def test_a_replacement_is_augmented_as_the_image_that_it_replaces(files):
    Path(files.name(3)).write_bytes(b"broken")
    change = augment({"affine": {"degrees": 30}}, (5, 5))
    reader = BatchReader(files, InputTransform((5, 5)), augment=change, training=True)
    indices, seeds = np.array([3, 4, 3]), np.array([7, 7, 8], dtype=np.uint64)
    one, same_seed, other = reader.read(BatchIndices(indices, seeds))["images"]
    assert torch.equal(one, same_seed)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("method", [None, FORK, FORKSERVER])
def test_an_unreadable_file_is_an_error_when_strict(files, method):
    Path(files.name(3)).write_bytes(b"broken")
    reader = BatchReader(files, InputTransform((5, 5)), strict=True)
    loader = BatchLoader(
        reader,
        BatchSampler(6, 2, training=False, seed=0),
        num_workers=int(method is not None),
        split="val",
        start_method=method,
    )
    with pytest.raises(UserError, match=r"^image '.*3.png' cannot be read.*strict=false$"):
        list(loader)


def test_a_split_without_any_readable_file_is_an_error(files):
    for index in range(6):
        Path(files.name(index)).write_bytes(b"broken")
    loader = BatchLoader(
        BatchReader(files, InputTransform((5, 5))), BatchSampler(6, 2, training=False, seed=0), split="val"
    )
    with pytest.raises(UserError, match=r"none of the 6 images of the val split can be read, the first .*0.png"):
        list(loader)


@pytest.mark.parametrize("method", [FORK, FORKSERVER])
@pytest.mark.parametrize("is_stopped", [False, True], ids=["whole", "stopped"])
def test_workers_of_a_loader_in_a_cycle_end_at_once(samples, is_stopped, method):
    others = multiprocessing.active_children()
    loader = BatchLoader(
        BatchReader(samples, InputTransform((6, 6))),
        BatchSampler(21, 4, training=True, seed=0),
        num_workers=1,
        split="train",
        start_method=method,
    )
    batches = iter(loader)
    cycle = [loader, batches]
    cycle.append(cycle)
    _ = next(batches) if is_stopped else list(batches)
    (worker,) = (child for child in multiprocessing.active_children() if child not in others)
    began = time.monotonic()
    del loader, batches, cycle
    gc.collect()
    worker.join(timeout=10)
    assert not worker.is_alive()
    assert time.monotonic() - began < 2.5  # torch waits 5 s for a worker that it cannot tell to stop


class NoWorkers(list):
    """A loader of torch's that gives nothing."""

    dataset = None


def test_workers_start_as_the_platform_starts_processes_and_asking_sets_nothing(samples, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["forkserver", "spawn"])
    monkeypatch.setattr("multiprocessing.get_start_method", lambda allow_none: None)
    made = []
    monkeypatch.setattr(
        "visionkit.data.loader.DataLoader", lambda *arguments, **options: made.append(options) or NoWorkers()
    )
    reader = BatchReader(samples, InputTransform((6, 6)))
    with pytest.raises(UserError, match="none of the 21 images"):
        list(BatchLoader(reader, BatchSampler(21, 4, training=False, seed=0), num_workers=1, split="val"))
    assert made[0]["multiprocessing_context"] == "forkserver"


def test_what_a_spawned_worker_cannot_be_given_is_said(samples):
    reader = BatchReader(samples, InputTransform((6, 6)), augment=lambda images, seeds: images)
    order = BatchSampler(21, 4, training=False, seed=0)
    with pytest.raises(UserError, match=r"lambda.*no lambda.*Try: dataset.num_workers=0$"):
        list(BatchLoader(reader, order, num_workers=1, split="val", start_method="spawn"))
