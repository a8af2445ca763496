from pathlib import Path

import pytest
import torch

from visionkit.data.augment import Augment
from visionkit.data.loading import BatchReader, Loader
from visionkit.data.order import BatchOrder, check_batch_size
from visionkit.data.samples import FileSamples, TensorSamples
from visionkit.data.transforms import Preprocess
from visionkit.errors import UserError


def positions(order: BatchOrder) -> list[list[int]]:
    return [indices.tolist() for indices, _ in order]


def flat(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


@pytest.fixture
def samples() -> TensorSamples:
    images = torch.randint(0, 256, (21, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return TensorSamples(images, torch.arange(21) % 3, torch.arange(21), prefix="train")


@pytest.fixture
def files(tmp_path: Path, save_image) -> FileSamples:
    for index in range(6):
        save_image(tmp_path / f"{index}.png", size=(6 + index, 7), seed=index)
    return FileSamples(tmp_path, [f"{index}.png" for index in range(6)], torch.arange(6), in_channels=3)


def test_evaluation_takes_each_sample_once_and_in_order():
    order = BatchOrder(9, 4, training=False, seed=0)
    assert positions(order) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert len(order) == 3


def test_training_takes_each_sample_once_and_shuffles_anew_each_epoch():
    order = BatchOrder(20, 6, training=True, seed=0)
    first, second = positions(order), positions(order)
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(20))
    assert first != second
    assert [len(batch) for batch in first] == [6, 6, 6, 2]


def test_a_last_training_batch_of_one_joins_the_one_before():
    order = BatchOrder(9, 4, training=True, seed=0)
    batches = positions(order)
    assert [len(batch) for batch in batches] == [4, 5]
    assert len(order) == 2
    assert sorted(flat(batches)) == list(range(9))


def test_batches_of_one_stay_where_they_were_asked_for():
    order = BatchOrder(3, 1, training=False, seed=0)
    assert positions(order) == [[0], [1], [2]]
    only = BatchOrder(1, 4, training=True, seed=0)
    assert (positions(only), len(only)) == ([[0]], 1)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 6, 9, 21, 42])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("world_size", [1, 3])
def test_the_length_is_the_number_of_batches_and_equal_for_all_processes(batch_size, training, world_size):
    if training and batch_size % world_size:
        pytest.skip("cannot be shared")
    orders = [
        BatchOrder(21, batch_size, training=training, seed=0, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    counts = [len(positions(order)) for order in orders]
    assert counts == [len(orders[0])] * world_size


@pytest.mark.parametrize(("size", "batch_size"), [(23, 6), (24, 6), (16, 6), (7, 3), (4, 6)])
def test_processes_share_each_batch_of_an_epoch_and_leave_nothing_out(size, batch_size):
    shares = [positions(BatchOrder(size, batch_size, training=True, seed=0, rank=r, world_size=3)) for r in range(3)]
    assert sorted(flat(flat(shares))) == list(range(size))
    assert all(len(part) for share in shares for part in share)


def test_batches_are_the_same_on_one_process_and_on_two():
    alone = positions(BatchOrder(22, 6, training=True, seed=0))
    shares = [positions(BatchOrder(22, 6, training=True, seed=0, rank=r, world_size=2)) for r in range(2)]
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(batch) for batch in alone]
    assert [(len(a), len(b)) for a, b in zip(*shares, strict=True)] == [(3, 3), (3, 3), (3, 3), (2, 2)]


def test_a_last_batch_too_small_for_all_joins_the_one_before():
    shares = [positions(BatchOrder(15, 6, training=True, seed=0, rank=r, world_size=2)) for r in range(2)]
    assert [[len(batch) for batch in share] for share in shares] == [[3, 5], [3, 4]]


@pytest.mark.parametrize(
    ("batch_size", "count", "words"),
    [(64, 3, "nearest that can: 63 and 66. Try: recipe.batch_size=66"), (2, 3, "nearest that can: 3. Try: recipe")],
)
def test_a_batch_that_does_not_divide_names_the_nearest_that_do(batch_size, count, words):
    with pytest.raises(UserError, match=f"{batch_size} images cannot be shared equally by {count}") as error:
        check_batch_size(batch_size, count)
    assert words in str(error.value)
    check_batch_size(batch_size * count, count)


def test_processes_evaluate_every_sample_once():
    shares = [flat(positions(BatchOrder(11, 2, training=False, seed=0, rank=r, world_size=3))) for r in range(3)]
    assert sorted(flat(shares)) == list(range(11))


def test_a_process_without_a_sample_has_a_batch_that_counts_nothing(samples):
    shares = [positions(BatchOrder(2, 1, training=False, seed=0, rank=r, world_size=3)) for r in range(3)]
    assert shares == [[[0]], [[1]], [[]]]
    order = BatchOrder(2, 1, training=False, seed=0, rank=2, world_size=3)
    (batch,) = Loader(BatchReader(samples, Preprocess((8, 8), "pad")), order, split="val")
    assert batch["index"].tolist() == []
    assert batch["images"].shape == (2, 1, 8, 8)
    assert batch["label"].shape == (2,)


def test_unreadable_files_leave_a_process_in_step_with_the_others(files):
    for index in (0, 2, 4):
        Path(files.name(index)).write_bytes(b"broken")
    orders = [BatchOrder(6, 2, training=False, seed=0, rank=r, world_size=2) for r in range(2)]
    reader = BatchReader(files, Preprocess((5, 5)))
    assert [batch["index"].tolist() for batch in Loader(reader, orders[1], split="val")] == [[1], [3], [5]]
    Path(files.name(1)).write_bytes(b"broken")
    assert [batch["index"].tolist() for batch in Loader(reader, orders[1], split="val")] == [[], [3], [5]]


def test_fewer_training_samples_than_processes_is_an_error():
    with pytest.raises(UserError, match=r"2 training samples are too few for 3 processes.*hardware.devices=1"):
        BatchOrder(2, 3, training=True, seed=0, world_size=3)


def test_an_epoch_is_the_same_whenever_it_is_set():
    order = BatchOrder(20, 6, training=True, seed=0)
    plans = [[(indices.tolist(), seed) for indices, seed in order] for _ in range(3)]
    resumed = BatchOrder(20, 6, training=True, seed=0)
    resumed.set_epoch(2)
    assert [(indices.tolist(), seed) for indices, seed in resumed] == plans[2]
    assert [(indices.tolist(), seed) for indices, seed in BatchOrder(20, 6, training=True, seed=1)] != plans[0]


def test_a_batch_from_memory_holds_images_labels_and_positions(samples):
    reader = BatchReader(samples, Preprocess((8, 8), "pad"))
    batch = next(iter(Loader(reader, BatchOrder(21, 4, training=False, seed=0), split="val")))
    assert batch["images"].shape == (4, 1, 8, 8)
    assert batch["images"].dtype == torch.uint8
    assert torch.equal(batch["images"][:, :, 1:7, 1:7], samples.images[:4])
    assert batch["label"].tolist() == [0, 1, 2, 0]
    assert batch["index"].tolist() == [0, 1, 2, 3]
    assert batch["label"].dtype == batch["index"].dtype == torch.int64


def test_workers_make_the_same_batches_as_this_process(samples):
    augment = Augment({"affine": {"degrees": 20}, "color_jitter": {"brightness": 0.5}}, (6, 6))
    reader = BatchReader(samples, Preprocess((6, 6)), augment=augment)
    here, there = (
        Loader(reader, BatchOrder(21, 4, training=True, seed=0), num_workers=workers, split="train")
        for workers in (0, 2)
    )
    for _ in range(2):
        for one, other in zip(here, there, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in ("images", "label", "index"))


def test_files_are_preprocessed_one_by_one(files):
    preprocess = Preprocess((5, 5))
    batches = list(Loader(BatchReader(files, preprocess), BatchOrder(6, 4, training=False, seed=0), split="val"))
    assert [len(batch["label"]) for batch in batches] == [4, 2]
    assert torch.equal(batches[1]["images"][1], preprocess(files.image(5)))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_unreadable_files_are_left_out_and_marked(files, num_workers):
    for index in (0, 1, 4):
        Path(files.name(index)).write_bytes(b"broken")
    reader = BatchReader(files, Preprocess((5, 5)))
    loader = Loader(reader, BatchOrder(6, 2, training=False, seed=0), num_workers=num_workers, split="val")
    assert [batch["index"].tolist() for batch in loader] == [[2, 3], [5]]
    assert reader.broken.tolist() == [1, 1, 0, 0, 1, 0]


def test_what_is_left_of_a_training_batch_is_no_batch_of_one(files):
    Path(files.name(3)).write_bytes(b"broken")
    loader = Loader(BatchReader(files, Preprocess((5, 5))), BatchOrder(6, 2, training=True, seed=0), split="train")
    assert [len(batch["index"]) for batch in loader] == [2, 2]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_file_is_an_error_when_strict(files, num_workers):
    Path(files.name(3)).write_bytes(b"broken")
    reader = BatchReader(files, Preprocess((5, 5)), strict=True)
    loader = Loader(reader, BatchOrder(6, 2, training=False, seed=0), num_workers=num_workers, split="val")
    with pytest.raises(UserError, match=r"^image '.*3.png' cannot be read.*strict=false$"):
        list(loader)


def test_a_split_without_any_readable_file_is_an_error(files):
    for index in range(6):
        Path(files.name(index)).write_bytes(b"broken")
    loader = Loader(BatchReader(files, Preprocess((5, 5))), BatchOrder(6, 2, training=False, seed=0), split="val")
    with pytest.raises(UserError, match=r"none of the 6 images of the val split can be read, the first .*0.png"):
        list(loader)
