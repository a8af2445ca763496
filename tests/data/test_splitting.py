import numpy
import pytest

from visionkit.data.splitting import check_class_sizes, hold_out, make_fold, restore_splits
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


def test_samples_of_one_group_are_in_one_part():
    groups = numpy.arange(200) // 4
    parts = hold_out(LABELS, {"test": 30, "val": 20}, seed=0, groups=groups)
    assert sorted(numpy.concatenate(list(parts.values()))) == list(range(200))
    assert not any(
        set(groups[parts[a]]) & set(groups[parts[b]]) for a, b in (("train", "val"), ("train", "test"), ("val", "test"))
    )
    assert {name: len(part) for name, part in parts.items()} == {"train": 152, "test": 28, "val": 20}


def test_groups_of_one_sample_change_nothing():
    plain, grouped = (hold_out(LABELS, {"val": 20}, seed=0, groups=g)["val"] for g in (None, numpy.arange(200)))
    assert plain.tolist() == grouped.tolist()


def test_each_sample_is_in_the_val_of_one_fold_stratified_by_class():
    folds = [make_fold(LABELS, fold, 5, seed=0) for fold in range(5)]
    assert sorted(numpy.concatenate([fold["val"] for fold in folds])) == list(range(200))
    for fold in folds:
        assert numpy.bincount(LABELS[fold["val"]]).tolist() == [20, 10, 6, 4]
        assert sorted([*fold["train"], *fold["val"]]) == list(range(200))


def test_samples_of_one_group_are_in_one_fold():
    groups = numpy.arange(200) // 4
    for fold in range(3):
        parts = make_fold(LABELS, fold, 3, seed=1, groups=groups)
        assert not set(groups[parts["train"]]) & set(groups[parts["val"]])


@pytest.mark.parametrize("saved", [{"train": [[1]], "val": []}, {"train": "ab", "val": ["a"]}, {"train": ["a"]}])
def test_a_saved_division_that_lists_no_names_is_refused(saved):
    with pytest.raises(UserError, match=r"should list the files of train and val.*Remove the file splits.json"):
        restore_splits(saved, {"a", "b"}, dataset="folder", root="x")


def test_images_that_are_groups_of_their_own_fill_each_part_where_a_class_is_small():
    positions = hold_out(numpy.array([0, 1, 0]), {"test": 1, "val": 1}, seed=0, groups=numpy.arange(3))
    assert {part: len(rows) for part, rows in positions.items()} == {"train": 1, "test": 1, "val": 1}
