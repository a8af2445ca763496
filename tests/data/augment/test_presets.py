"""Augmentations by one word."""

import pytest
import torch

from tests.helpers.augments import WHERE
from visionkit.config_files import group_names, read_group_file
from visionkit.data.augment.parsing import check_targets, parse_augments
from visionkit.data.augment.preset_choice import choose_augments
from visionkit.data.augment.presets import AugmentPreset, preset_names
from visionkit.data.collate.base import BatchReader
from visionkit.data.collate.detection import DetectionBatchReader, InstanceBatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.datamodule import VisionDataModule
from visionkit.data.sources import SOURCES, parse_source
from visionkit.errors import UserError
from visionkit.tasks.info import TASKS

TARGETS = sorted({task.target for task in TASKS.values()})
LEVELS = ["light", "medium", "strong"]
READERS = {"boxes": DetectionBatchReader, "instances": InstanceBatchReader, "mask": SegmentationBatchReader}


def chosen(name, target="label", *, num_images=500, in_channels=3, has_directions=False):
    values = {"num_images": num_images, "in_channels": in_channels, "has_directions": has_directions}
    return choose_augments(AugmentPreset(name), target, **values)


def names(choice):
    return {type(spec).__name__ for spec in choice.augments}


def test_the_words_are_the_files():
    assert preset_names() == [*LEVELS, "auto"]
    assert sorted(group_names("augment")) == sorted(preset_names())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("level", LEVELS)
def test_every_word_has_augmentations_for_every_task_and_says_which(level, target):
    values = read_group_file("augment", level)[target]
    expected = parse_augments(values, where=WHERE)
    check_targets(expected, where=WHERE, targets=(target,))
    choice = chosen(level, target)
    assert choice.augments == expected
    assert choice.note.startswith(f"dataset.augment={level} stands for {{")
    assert all(f"{name}: {{" in choice.note for name in values)


@pytest.mark.parametrize("target", TARGETS)
def test_auto_is_one_of_the_others_by_the_number_of_images(target):
    least = read_group_file("augment", "auto")[target]
    assert set(least) <= set(LEVELS)
    assert 0 in least.values()
    for level, number in least.items():
        assert chosen("auto", target, num_images=number).augments == chosen(level, target).augments
        note = chosen("auto", target, num_images=number).note
        assert note.startswith(f"dataset.augment=auto is {level} for {number:,} training images, which stands for {{")
    ordered = sorted(least, key=least.__getitem__)
    assert ordered == sorted(ordered, key=LEVELS.index)  # of more images a stronger one
    assert chosen("auto", target, num_images=10**7).augments == chosen(ordered[-1], target).augments


@pytest.mark.parametrize("level", LEVELS)
def test_digits_are_not_mirrored_and_bands_not_recoloured(level):
    assert "HorizontalFlipSpec" in names(chosen(level))
    directed, bands = chosen(level, has_directions=True), chosen(level, in_channels=5)
    assert not any(spec.mirrors for spec in directed.augments)
    assert not any(spec.changes_colours for spec in bands.augments)
    assert "horizontal_flip" not in directed.note


def test_sources_of_digits_have_directions():
    assert {name for name in SOURCES.names() if SOURCES.get(name).has_directions} == {"digits", "mnist"}


@pytest.mark.parametrize("name", [name for name in SOURCES.names() if name != "python"])
@pytest.mark.parametrize("level", [*LEVELS, "auto"])
def test_every_data_set_takes_every_word_for_each_of_its_targets(settings, name, level):
    needed = {"root": "data", "file": "labels.csv"}
    changes = {key: value for key, value in needed.items() if key in settings(name)}
    changes |= {"image_size": 32} if settings(name)["image_size"] is None and name != "digits" else {}
    source = parse_source(settings(name, augment=level, **changes))
    for target in source.targets & set(TARGETS):
        augment = source.for_target(target).augment
        assert augment == AugmentPreset(level)


@pytest.mark.parametrize("target", ["label", *READERS])
@pytest.mark.parametrize("level", LEVELS)
def test_batches_are_made_with_every_word(settings, target, level):
    scenes = {**settings("digits")["scenes"], "train": 6, "val": 2, "test": 2}
    source = parse_source(settings("digits", scenes=scenes, augment=level, image_size=64))
    reader = READERS.get(target, BatchReader)
    made = []
    for _ in range(2):
        module = VisionDataModule(source, target=target, batch_reader=reader, batch_size=6, seed=0)
        module.setup("fit")
        made.append(next(iter(module.train_dataloader())))
    assert made[0]["images"].shape == (6, 1, 64, 64)
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert any(note.startswith(f"dataset.augment={level} stands for") for note in module.notes)


def test_an_unknown_word_gets_the_nearest_one(settings):
    with pytest.raises(UserError, match=r"dataset.augment: found \"strng\". Did you mean 'strong'\? Expected a map"):
        parse_source(settings("digits", augment="strng"))
