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
    split_ids = split_groups(labels, groups, fractions, seed=0)
    assert all(len(set(split_ids[groups == group])) == 1 for group in range(30))
    wanted = numpy.outer(fractions, numpy.bincount(labels))
    assert numpy.abs(numpy.array(shares(split_ids, labels, len(fractions))) - wanted).max() <= 2.5


def test_groups_are_balanced_no_worse_than_by_scikit_learn(patients):
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = patients
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    reference = [numpy.bincount(labels[val]) for _, val in splitter.split(labels, labels, groups)]
    ours = shares(split_groups(labels, groups, [0.2] * 5, seed=0), labels, 5)
    wanted = numpy.bincount(labels) / 5
    assert numpy.abs(ours - wanted).max() <= numpy.abs(reference - wanted).max()


def test_single_samples_are_divided_as_evenly_as_can_be():
    labels = numpy.repeat(numpy.arange(20), 7)
    split_ids = split_groups(labels, numpy.arange(140), [0.2] * 5, seed=0)
    counts = numpy.array(shares(split_ids, labels, 5))
    assert counts.sum(axis=1).tolist() == [28] * 5
    assert set(counts.ravel()) == {1, 2}


def test_a_class_of_few_groups_goes_to_the_first_split_before_all():
    labels, groups = numpy.array([0] * 12 + [1] * 4 + [2]), numpy.array([*range(12), 20, 20, 21, 21, 30])
    for seed in range(5):
        counts = shares(split_groups(labels, groups, [0.6, 0.2, 0.2], seed=seed), labels, 3)
        assert [row[2] for row in counts] == [1, 0, 0]
        assert counts[0][1] == 2


def test_no_split_is_empty_where_there_are_as_many_groups():
    groups = numpy.repeat([0, 1, 2], [30, 30, 30])
    split_ids = split_groups(numpy.zeros(90, dtype=int), groups, [0.7, 0.15, 0.15], seed=0)
    assert numpy.bincount(split_ids).tolist() == [30, 30, 30]


def test_the_seed_decides(patients):
    labels, groups = patients
    first, again, other = (split_groups(labels, groups, [0.8, 0.2], seed=seed).tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_merged_groups_keep_together_what_either_grouping_does():
    merged = merge_groups(numpy.array([0, 0, 1, 2, 3]), numpy.array([7, 8, 8, 9, 9])).tolist()
    assert merged[0] == merged[1] == merged[2]
    assert merged[3] == merged[4] != merged[0]
