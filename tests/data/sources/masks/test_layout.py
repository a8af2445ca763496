"""Where images and masks lie, by the names that people give to folders."""

import pytest

from visionkit.data.sources.masks.layout import MaskFolders
from visionkit.errors import UserError


@pytest.fixture
def find(tmp_path):
    """Find the folders among these, each of which holds a file; the findings' codes and places come with them."""

    def run(*folders: str, images=None, masks=None):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "a.png").write_bytes(b"x")
        findings = []
        found = MaskFolders(tmp_path, findings, allow_overlap=False, expected="images/ and masks/").find(images, masks)
        return found, [(finding.code, finding.places) for finding in findings]

    return run


@pytest.mark.parametrize(
    ("train", "val"),
    [
        (("images/train", "masks/train"), ("images/val", "masks/val")),
        (("Images/Train", "MASKS/training"), ("Images/valid", "MASKS/Validation")),
        (("train/image", "train/label"), ("val/image", "val/label")),
        (("Train/Images", "Train/Masks"), ("Valid/Images", "Valid/Masks")),
        (("train_images", "train_masks"), ("val_images", "val_masks")),
        (("images_train", "labels_train"), ("images_val", "labels_val")),
        (("data/images/train", "data/masks/train"), ("data/images/val", "data/masks/val")),
        (("set/train_img", "set/train_mask"), ("set/valid_img", "set/valid_mask")),
        (("train", "trainannot"), ("val", "valannot")),
        (("Train", "TrainAnnot"), ("Valid", "ValidAnnot")),
        (("train", "train_labels"), ("val", "val_labels")),
        (("trainimages", "trainmasks"), ("valimages", "valmasks")),
        (("CamVid/train", "CamVid/trainannot"), ("CamVid/val", "CamVid/valannot")),
        (("imagesTr", "labelsTr"), ("imagesVal", "labelsVal")),
    ],
)
def test_usual_names_of_folders_are_understood(find, train, val):
    assert find(*train, *val) == ({"train": train, "val": val}, [])


def test_nn_u_nets_test_split_is_read_and_without_masks_left_out(find, tmp_path):
    both = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
    assert find("imagesTr", "labelsTr", "imagesTs", "labelsTs") == (both, [])
    (tmp_path / "labelsTs" / "a.png").unlink()
    (tmp_path / "labelsTs").rmdir()
    assert find() == ({"train": both["train"]}, [("test-no-masks", ("imagesTs",))])


def test_camvids_three_splits_are_read(find):
    splits = ("train", "val", "test")
    found, findings = find(*splits, *(f"{split}annot" for split in splits))
    assert (found, findings) == ({split: (split, f"{split}annot") for split in splits}, [])


@pytest.mark.parametrize("folders", [("imagery", "labelstore"), ("train", "trainers"), ("strange", "maskstr2")])
def test_a_name_that_only_begins_like_a_split_or_a_mask_is_none(find, folders):
    with pytest.raises(UserError, match="no folder of images"):
        find(*folders)


@pytest.mark.parametrize("folders", [("cell_images", "cell_masks"), ("IMAGES", "ground truth"), ("a/imgs", "a/gt")])
def test_an_undivided_set_is_all_train(find, folders):
    assert find(*folders) == ({"train": folders}, [])


@pytest.mark.parametrize(
    ("folders", "test"),
    [
        (("images/train", "masks/train", "images/test"), "images/test"),
        (("images/train", "masks/train", "masks/test"), "masks/test"),
        (("train/images", "train/masks", "test/images"), "test"),
        (("train/images", "train/masks", "test"), "test"),
        (("train_images", "train_masks", "test_images"), "test_images"),
    ],
)
def test_a_test_split_without_masks_or_images_is_left_out_and_said(find, folders, test):
    assert find(*folders) == ({"train": folders[:2]}, [("test-no-masks", (test,))])


@pytest.mark.parametrize(
    "folders",
    [
        ("images/train", "masks/train", "images/val"),
        ("train/images", "train/masks", "val/images"),
        ("train_images", "train_masks", "val_images"),
    ],
)
def test_a_val_split_without_masks_says_what_to_type(find, folders):
    with pytest.raises(UserError, match=r"Expected val in both.*dataset.images.val=FOLDER dataset.masks.val=FOLDER"):
        find(*folders)


def test_folders_beside_those_of_splits_are_said(find):
    _, findings = find("train_images", "train_masks", "other_things")
    assert findings == [("folder-no-split", ("other_things",))]


def test_where_nothing_is_recognised_the_folders_are_named(find):
    with pytest.raises(UserError, match=r"no folder of images in .*; found the folders pixels, truths\. .*Say where"):
        find("pixels", "truths")
