import numpy
import pytest

from visionkit.data.splitting import check_class_sizes, hold_out
from visionkit.errors import UserError

LABELS = numpy.repeat(numpy.arange(4), [100, 50, 30, 20])


def test_parts_are_disjoint_and_complete():
    parts = hold_out(LABELS, {"test": 30, "val": 20}, seed=3)
    together = numpy.concatenate(list(parts.values()))
    assert sorted(together) == list(range(200))
    assert {name: len(part) for name, part in parts.items()} == {"train": 150, "test": 30, "val": 20}


def test_each_class_gives_its_share():
    parts = hold_out(LABELS, {"val": 20}, seed=0)
    assert numpy.bincount(LABELS[parts["val"]]).tolist() == [10, 5, 3, 2]


def test_a_class_of_three_gives_one_to_each_part():
    labels = numpy.repeat([0, 1], [3, 997])
    parts = hold_out(labels, {"test": 10, "val": 10}, seed=0)
    assert [int((labels[parts[name]] == 0).sum()) for name in ("train", "val", "test")] == [1, 1, 1]


def test_the_same_seed_gives_the_same_parts_and_another_seed_others():
    first, again, other = (hold_out(LABELS, {"val": 20}, seed=seed)["val"].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_agrees_with_scikit_learn_on_how_many_each_class_gives():
    from sklearn.model_selection import train_test_split

    _, reference = train_test_split(LABELS, test_size=30, stratify=LABELS, random_state=0)
    ours = LABELS[hold_out(LABELS, {"val": 30}, seed=0)["val"]]
    # remainders of one half may fall to either class
    assert numpy.abs(numpy.bincount(ours) - numpy.bincount(reference)).max() <= 1


def test_too_few_samples_name_the_class_and_what_it_needs():
    message = r"data: too few samples to split in train and val and test: .* at least 3, found 'cat' \(2\)\. Add some"
    with pytest.raises(UserError, match=message):
        check_class_sizes({"cat": 2, "dog": 3}, ["val", "test"], where="data", advice="Add some.")
