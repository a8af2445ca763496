import numpy
import pytest

from visionkit.data.group_splitting import merge_groups, split_groups


def shares(split_ids, labels, num_splits):
    """The number of samples of each split and class."""
    return [
        numpy.bincount(labels[split_ids == split], minlength=labels.max() + 1).tolist() for split in range(num_splits)
    ]


@pytest.fixture
def patients():
    """90 samples of 30 patients of 1 to 5 photos, each of one of two classes."""
    random = numpy.random.RandomState(0)
    sizes = numpy.tile([1, 2, 3, 4, 5], 6)
    groups = numpy.repeat(numpy.arange(30), sizes)
    return numpy.repeat(random.permutation(numpy.repeat([0, 1], 15)), sizes), groups


@pytest.mark.parametrize("fractions", [[0.7, 0.15, 0.15], [0.2] * 5])
def test_groups_stay_whole_and_each_split_has_its_share_of_each_class(patients, fractions):
    labels, groups = patients
    split_ids = split_groups(labels, groups, fractions, seed=0, first_is_train=len(fractions) == 3)
    assert all(len(set(split_ids[groups == group])) == 1 for group in range(30))
    wanted = numpy.outer(fractions, numpy.bincount(labels))
    assert numpy.abs(numpy.array(shares(split_ids, labels, len(fractions))) - wanted).max() <= 2.5


def test_groups_are_balanced_no_worse_than_by_scikit_learn(patients):
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = patients
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    reference = [numpy.bincount(labels[val]) for _, val in splitter.split(labels, labels, groups)]
    ours = shares(split_groups(labels, groups, [0.2] * 5, seed=0, first_is_train=False), labels, 5)
    wanted = numpy.bincount(labels) / 5
    assert numpy.abs(ours - wanted).max() <= numpy.abs(reference - wanted).max()


def test_single_samples_are_divided_as_evenly_as_can_be():
    labels = numpy.repeat(numpy.arange(20), 7)
    split_ids = split_groups(labels, numpy.arange(140), [0.2] * 5, seed=0, first_is_train=False)
    counts = numpy.array(shares(split_ids, labels, 5))
    assert counts.sum(axis=1).tolist() == [28] * 5
    assert set(counts.ravel()) == {1, 2}


def test_a_class_of_few_groups_goes_to_the_first_split_before_all():
    labels, groups = numpy.array([0] * 12 + [1] * 4 + [2]), numpy.array([*range(12), 20, 20, 21, 21, 30])
    for seed in range(5):
        counts = shares(split_groups(labels, groups, [0.6, 0.2, 0.2], seed=seed, first_is_train=True), labels, 3)
        assert [row[2] for row in counts] == [1, 0, 0]
        assert counts[0][1] == 2


def test_no_split_is_empty_where_there_are_as_many_groups():
    groups = numpy.repeat([0, 1, 2], [30, 30, 30])
    split_ids = split_groups(numpy.zeros(90, dtype=int), groups, [0.7, 0.15, 0.15], seed=0, first_is_train=True)
    assert numpy.bincount(split_ids).tolist() == [30, 30, 30]


def test_four_patients_of_two_classes_give_each_split_one_and_train_one_of_each_class():
    """By hand: of two patients of a class train needs one, so that test and val can have one each."""
    random = numpy.random.RandomState(0)
    for seed in range(50):
        groups = numpy.repeat(numpy.arange(4), random.randint(1, 20, 4))
        labels = groups % 2
        counts = numpy.array(
            shares(split_groups(labels, groups, [0.7, 0.15, 0.15], seed=seed, first_is_train=True), labels, 3)
        )
        assert (counts[0] > 0).all()
        assert (counts > 0).sum(axis=1).tolist() == [2, 1, 1]


def test_two_groups_a_class_fill_test_and_val_alike():
    """By hand: ten classes of two groups of six; train has one group of each class, test and val share the others."""
    labels, groups = numpy.repeat(numpy.arange(10), 12), numpy.repeat(numpy.arange(20), 6)
    split_ids = split_groups(labels, groups, [0.7, 0.15, 0.15], seed=0, first_is_train=True)
    assert numpy.bincount(split_ids).tolist() == [60, 30, 30]
    folds = split_groups(labels, groups, [0.2] * 5, seed=0, first_is_train=False)
    assert numpy.bincount(folds).tolist() == [24] * 5


def test_thirteen_folds_of_two_classes_of_twelve_images_have_two_images_or_one():
    split_ids = split_groups(numpy.repeat([0, 1], 12), numpy.arange(24), [1 / 13] * 13, seed=0, first_is_train=False)
    assert sorted(numpy.bincount(split_ids, minlength=13).tolist()) == [1, 1, *[2] * 11]


@pytest.mark.parametrize("first_is_train", [True, False])
def test_as_many_groups_as_splits_never_leave_one_empty(first_is_train):
    random = numpy.random.RandomState(1)
    for seed in range(1000):
        num_splits = 3 if first_is_train else random.randint(2, 8)
        groups = numpy.r_[numpy.arange(num_splits), random.randint(0, 10, random.randint(0, 25))]
        labels = random.randint(0, random.randint(1, 4), len(groups))
        fractions = [0.7, 0.15, 0.15] if first_is_train else [1 / num_splits] * num_splits
        split_ids = split_groups(labels, groups, fractions, seed=seed, first_is_train=first_is_train)
        assert numpy.bincount(split_ids, minlength=num_splits).min() > 0
        assert all(len(set(split_ids[groups == group])) == 1 for group in groups)


def test_the_seed_decides(patients):
    labels, groups = patients
    first, again, other = (
        split_groups(labels, groups, [0.8, 0.2], seed=seed, first_is_train=True).tolist() for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_merged_groups_keep_together_what_either_grouping_does():
    merged = merge_groups(numpy.array([0, 0, 1, 2, 3]), numpy.array([7, 8, 8, 9, 9])).tolist()
    assert merged[0] == merged[1] == merged[2]
    assert merged[3] == merged[4] != merged[0]
