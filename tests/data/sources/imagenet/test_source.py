from pathlib import Path

import pytest
import torch
from torchvision.models._meta import _IMAGENET_CATEGORIES

from visionkit.data.sources import imagenet, parse_source
from visionkit.errors import UserError

CLASSES_FILE = Path(imagenet.__file__).with_name("classes.txt")


def test_wordnet_ids_get_their_names(settings, make_tree):
    root = make_tree({"train/n01440764": 1, "train/n01443537": 1, "val/n01440764": 1, "val/n01443537": 1})
    assert parse_source(settings("imagenet", root=str(root))).info().class_names == ("tench", "goldfish")


def test_the_names_of_all_1000_classes_are_torchvisions(settings):
    lines = CLASSES_FILE.read_text().splitlines()
    ids = [line.split(" ", 1)[0] for line in lines]
    assert [line.split(" ", 1)[1] for line in lines] == list(_IMAGENET_CATEGORIES)
    assert ids == sorted(set(ids))


def test_other_folders_keep_their_own_names(settings, make_tree):
    root = make_tree({"train/n01440764": 1, "train/mine": 1, "val/mine": 1})
    assert parse_source(settings("imagenet", root=str(root))).info().class_names == ("mine", "n01440764")


def test_images_are_brought_to_256_and_cropped_to_224(settings):
    transform = parse_source(settings("imagenet", root="x")).input_transform()
    image = torch.zeros(3, 256, 300, dtype=torch.uint8)
    image[:, 16:240, 38:262] = 255
    assert int(transform(image).min()) == 255
    assert transform(image).shape == (3, 224, 224)


def test_a_folder_without_validation_says_what_is_expected(settings, make_tree):
    root = make_tree({"train/n01440764": 1, "train/n01443537": 1})
    with pytest.raises(UserError, match=r"has no val folder. Expected train/n01440764/ .*dataset=folder"):
        parse_source(settings("imagenet", root=str(root))).check()


def test_a_root_that_is_not_given_says_what_to_type(settings):
    with pytest.raises(UserError, match=r"dataset 'imagenet' needs the folder .*dataset.root=path/to/imagenet"):
        parse_source(settings("imagenet")).check()


def test_no_two_of_the_1000_classes_share_a_name():
    lines = CLASSES_FILE.read_text().splitlines()
    assert len({line.split(" ", 1)[1] for line in lines}) == len(lines) == 1000
