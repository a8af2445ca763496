import numpy
import torch
from sklearn.datasets import load_digits

from visionkit.data.sources import parse_source


def test_the_1797_digits_are_divided_without_overlap(settings):
    splits = parse_source(settings("digits")).splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 1257, "val": 270, "test": 270}
    names = {samples.name(i) for samples in splits.samples.values() for i in range(len(samples))}
    assert len(names) == 1797
    assert splits.saved is None


def test_the_division_does_not_follow_the_runs_seed(settings):
    source = parse_source(settings("digits"))
    first, second = (source.splits(seed=seed).samples["test"] for seed in (0, 1))
    assert [first.name(i) for i in range(270)] == [second.name(i) for i in range(270)]


def test_another_split_seed_divides_otherwise(settings):
    first, second = (parse_source(settings("digits", split_seed=seed)).splits(seed=0) for seed in (0, 1))
    assert first.samples["val"].labels.tolist() != second.samples["val"].labels.tolist()


def test_every_class_is_in_every_split(settings):
    splits = parse_source(settings("digits")).splits(seed=0)
    counts = torch.bincount(splits.samples["test"].labels, minlength=10)
    assert int(counts.min()) >= 26  # 15 % of 174 to 183
    assert int(counts.max()) <= 28


def test_values_0_to_16_are_stretched_to_0_to_255(settings):
    samples = parse_source(settings("digits")).splits(seed=0).samples["test"]
    number = int(samples.name(7).removeprefix("digits/"))
    expected = numpy.rint(load_digits().images[number] * 255 / 16)
    assert samples.image(7).shape == (1, 8, 8)
    assert samples.image(7)[0].tolist() == expected.tolist()


def test_the_yaml_holds_the_mean_and_deviation_of_the_enlarged_training_images(settings):
    source = parse_source(settings("digits"))
    samples = source.splits(seed=0).samples["train"]
    pixels = source.input_transform()(samples.batch(torch.arange(len(samples)))) / 255
    info = source.info()
    assert abs(info.mean[0] - float(pixels.mean())) < 5e-4  # four digits are written
    assert abs(info.std[0] - float(pixels.std())) < 5e-4
