import pytest
import torch

from visionkit.data.sample_seeds import mix_seed
from visionkit.data.sampler import BatchSampler, check_batch_size
from visionkit.errors import UserError


def positions(order: BatchSampler) -> list[list[int]]:
    return [indices.tolist() for indices, *_ in order]


def flat(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


def test_evaluation_takes_each_sample_once_and_in_order():
    order = BatchSampler(9, 4, training=False, seed=0)
    assert positions(order) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert len(order) == 3


def test_training_has_full_batches_and_shuffles_anew_each_epoch():
    order = BatchSampler(20, 6, training=True, seed=0)
    epochs = [positions(order) for _ in range(30)]
    assert all([len(batch) for batch in epoch] == [6, 6, 6] for epoch in epochs)
    assert all(len(set(flat(epoch))) == 18 for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert {index for epoch in epochs for index in flat(epoch)} == set(range(20))  # each has its turn


@pytest.mark.parametrize(("size", "world_size", "number"), [(5, 1, 5), (5, 2, 4), (1, 1, 1), (7, 4, 4), (8, 4, 8)])
def test_a_split_smaller_than_a_batch_gives_one_of_as_many_as_divide(size, world_size, number):
    orders = [
        BatchSampler(size, 8, training=True, seed=0, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    shares = [positions(order) for order in orders]
    assert [len(order) for order in orders] == [len(share) for share in shares] == [1] * world_size
    assert {len(share[0]) for share in shares} == {number // world_size}
    assert len(set(flat([share[0] for share in shares]))) == number


def test_fewer_training_images_than_processes_are_refused():
    with pytest.raises(UserError, match=r"3 images for 4 processes, and each needs one. Try: hardware.devices=3"):
        BatchSampler(3, 8, training=True, seed=0, world_size=4)
    assert len(BatchSampler(3, 8, training=False, seed=0, rank=3, world_size=4)) == 0


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 6, 9, 21, 42])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("world_size", [1, 3])
def test_the_length_is_the_number_of_batches(batch_size, training, world_size):
    if training and batch_size % world_size:
        pytest.skip("cannot be shared")
    for rank in range(world_size):
        order = BatchSampler(21, batch_size, training=training, seed=0, rank=rank, world_size=world_size)
        batches = positions(order)
        assert len(batches) == len(order)
        assert all(batches)


def pairs(batch):
    return set(zip(batch.indices, batch.seeds, strict=True))


@pytest.mark.parametrize("batch_size", [1, 2, 6, 8, 12, 64])
def test_an_epoch_has_the_same_batches_and_seeds_on_any_number_of_processes(batch_size):
    for size in [*range(batch_size, 3 * batch_size + 3), 1000, 1437]:
        alone = [
            set(zip(batch.indices, batch.seeds, strict=True))
            for batch in BatchSampler(size, batch_size, training=True, seed=3)
        ]
        assert len(alone) == size // batch_size
        for world_size in (n for n in range(2, batch_size + 1) if batch_size % n == 0):
            shares = [
                [pairs(batch) for batch in
                 BatchSampler(size, batch_size, training=True, seed=3, rank=rank, world_size=world_size)]
                for rank in range(world_size)
            ]  # fmt: skip
            assert [set.union(*parts) for parts in zip(*shares, strict=True)] == alone


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


def plan(order):
    return [(indices.tolist(), seeds.tolist()) for indices, seeds, _ in order]


def test_an_epoch_is_the_same_whenever_it_is_set():
    order = BatchSampler(20, 6, training=True, seed=0)
    plans = [plan(order) for _ in range(3)]
    resumed = BatchSampler(20, 6, training=True, seed=0)
    resumed.set_epoch(2)
    assert plan(resumed) == plans[2]
    assert plan(BatchSampler(20, 6, training=True, seed=1)) != plans[0]


def test_an_epoch_can_start_at_any_of_its_batches():
    order = BatchSampler(20, 6, training=True, seed=0)
    whole = plan(order)
    order.set_epoch(0)
    order.start_at(2)
    assert plan(order) == whole[2:]


UNEQUAL = torch.tensor([0] * 90 + [2] * 10)  # no sample of class 1


def balanced(labels=UNEQUAL, batch_size=12, **options):
    return BatchSampler(len(labels), batch_size, training=True, seed=3, balance=labels, **options)


def test_classes_drawn_alike_have_as_many_samples_in_an_epoch():
    order = balanced()
    for _ in range(5):
        drawn = torch.tensor(flat(positions(order)))
        assert len(drawn) == 96
        assert UNEQUAL[drawn].bincount().tolist() == [48, 0, 48]
        uses = drawn.bincount(minlength=100)
        assert uses[:90].max() == 1  # a large class repeats nothing
        assert sorted(set(uses[90:].tolist())) == [4, 5]  # 48 = 4 * 10 + 8


def test_what_makes_no_equal_share_goes_to_other_classes_in_other_epochs():
    order = balanced(torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]), batch_size=8)
    counts = [torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])[flat(positions(order))].bincount().tolist() for _ in range(20)]
    assert {tuple(sorted(count)) for count in counts} == {(2, 3, 3)}
    assert len({tuple(count) for count in counts}) == 3


def test_a_sample_drawn_again_in_an_epoch_is_augmented_otherwise():
    seeds = flat(seeds for _, seeds in plan(balanced()))
    assert len(set(seeds)) == 96


def test_large_classes_show_all_of_their_samples_over_some_epochs():
    order = balanced()
    assert {index for _ in range(20) for index in flat(positions(order))} == set(range(100))


def test_classes_drawn_alike_come_in_the_same_batches_on_any_number_of_processes():
    alone = [sorted(zip(*batch, strict=True)) for batch in plan(balanced())]
    shares = [plan(balanced(rank=rank, world_size=3)) for rank in range(3)]
    joined = [
        sorted(pair for batch in parts for pair in zip(*batch, strict=True)) for parts in zip(*shares, strict=True)
    ]
    assert joined == alone


def test_an_epoch_of_classes_drawn_alike_follows_seed_and_epoch_and_can_be_resumed():
    order = balanced()
    plans = [plan(order) for _ in range(3)]
    assert plans[0] != plans[1] != plans[2]
    resumed = balanced()
    resumed.set_epoch(2)
    resumed.start_at(3)
    assert plan(resumed) == plans[2][3:]


def test_without_balance_the_order_is_the_one_that_earlier_runs_have_seen():
    drawn = flat(positions(BatchSampler(20, 6, training=True, seed=0)))
    assert drawn == torch.randperm(20, generator=torch.Generator().manual_seed(mix_seed(0, 0)))[:18].tolist()


def test_a_batch_says_how_far_the_run_is():
    order = BatchSampler(8, 4, training=True, seed=0, epochs=4)
    assert [{batch.progress for batch in order} for _ in range(5)] == [{0.0}, {0.25}, {0.5}, {0.75}, {1.0}]
    order.set_epoch(3)
    assert {batch.progress for batch in order} == {0.75}
    assert {batch.progress for batch in BatchSampler(8, 4, training=True, seed=0)} == {0.0}
