import pytest

from visionkit.data.sampler import BatchSampler, check_batch_size
from visionkit.errors import UserError


def positions(order: BatchSampler) -> list[list[int]]:
    return [indices.tolist() for indices, _ in order]


def flat(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


def test_evaluation_takes_each_sample_once_and_in_order():
    order = BatchSampler(9, 4, training=False, seed=0)
    assert positions(order) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert len(order) == 3


def test_training_takes_each_sample_once_and_shuffles_anew_each_epoch():
    order = BatchSampler(20, 6, training=True, seed=0)
    first, second = positions(order), positions(order)
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(20))
    assert first != second
    assert [len(batch) for batch in first] == [6, 6, 6, 2]


def test_a_last_training_batch_of_one_joins_the_one_before():
    order = BatchSampler(9, 4, training=True, seed=0)
    batches = positions(order)
    assert [len(batch) for batch in batches] == [4, 5]
    assert len(order) == 2
    assert sorted(flat(batches)) == list(range(9))


def test_batches_of_one_stay_where_they_were_asked_for():
    order = BatchSampler(3, 1, training=False, seed=0)
    assert positions(order) == [[0], [1], [2]]
    only = BatchSampler(1, 4, training=True, seed=0)
    assert (positions(only), len(only)) == ([[0]], 1)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 6, 9, 21, 42])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("world_size", [1, 3])
def test_the_length_is_the_number_of_batches_and_equal_for_all_processes(batch_size, training, world_size):
    if training and batch_size % world_size:
        pytest.skip("cannot be shared")
    orders = [
        BatchSampler(21, batch_size, training=training, seed=0, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    counts = [len(positions(order)) for order in orders]
    assert counts == [len(orders[0])] * world_size


@pytest.mark.parametrize("batch_size", [1, 2, 6, 8, 12, 64])
def test_an_epoch_has_the_same_batches_on_any_number_of_processes_whatever_its_size(batch_size):
    for size in [*range(1, 3 * batch_size + 3), 1000, 1437]:
        alone = [sorted(batch) for batch in positions(BatchSampler(size, batch_size, training=True, seed=3))]
        assert sorted(flat(alone)) == list(range(size))
        for world_size in (n for n in range(2, batch_size + 1) if batch_size % n == 0):
            orders = [
                BatchSampler(size, batch_size, training=True, seed=3, rank=rank, world_size=world_size)
                for rank in range(world_size)
            ]
            shares = [positions(order) for order in orders]
            assert {len(order) for order in orders} == {len(alone)}
            assert [sorted(flat(list(parts))) for parts in zip(*shares, strict=True)] == alone
            assert [orders[0].global_batch_size(number) for number in range(len(alone))] == [
                len(batch) for batch in alone
            ]


@pytest.mark.parametrize(("size", "world_size"), [(66, 2), (67, 2), (70, 2), (66, 32), (79, 16), (2, 4), (65, 64)])
def test_a_process_has_two_samples_or_none_in_a_short_batch(size, world_size):
    shares = [
        positions(BatchSampler(size, 64, training=True, seed=0, rank=r, world_size=world_size))
        for r in range(world_size)
    ]
    last = [len(share[-1]) for share in shares]
    least = 2 if world_size <= 32 else 1
    assert all(part == 0 or part >= least for part in last)
    assert last == sorted(last, reverse=True)
    assert max(last) - min(part for part in last if part) <= 1


def test_a_single_sample_is_trained_on_by_the_first_process():
    shares = [positions(BatchSampler(1, 4, training=True, seed=0, rank=r, world_size=2)) for r in range(2)]
    assert shares == [[[0]], [[]]]


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
    shares = [flat(positions(BatchSampler(11, 2, training=False, seed=0, rank=r, world_size=3))) for r in range(3)]
    assert sorted(flat(shares)) == list(range(11))


def test_an_epoch_is_the_same_whenever_it_is_set():
    order = BatchSampler(20, 6, training=True, seed=0)
    plans = [[(indices.tolist(), seed) for indices, seed in order] for _ in range(3)]
    resumed = BatchSampler(20, 6, training=True, seed=0)
    resumed.set_epoch(2)
    assert [(indices.tolist(), seed) for indices, seed in resumed] == plans[2]
    assert [(indices.tolist(), seed) for indices, seed in BatchSampler(20, 6, training=True, seed=1)] != plans[0]
