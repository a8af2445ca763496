"""Masks of classes and of objects in Pascal VOC's folders."""

import numpy
import pytest
from PIL import Image

from visionkit.data.sources import parse_source
from visionkit.errors import UserError

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + [224, 224, 192] * 252


def classes(index: int) -> numpy.ndarray:
    """30x40 with two objects: one of class 1 + index % 2 and one of class 3, whose edge is void."""
    mask = numpy.zeros((30, 40), dtype=numpy.uint8)
    mask[2:12, 3:20] = 1 + index % 2
    mask[14:28, 20:39] = 255
    mask[15:27, 21:38] = 3
    return mask


def objects(index: int) -> numpy.ndarray:
    mask = classes(index)
    mask[mask == 3] = 7
    mask[(mask > 0) & (mask < 7)] = 4
    return mask


def save(path, pixels, *, mode="P"):
    image = Image.fromarray(pixels).convert("P")
    image.putdata(pixels.ravel().tolist())
    image.putpalette(PALETTE)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert(mode).save(path)


@pytest.fixture
def make_root(tmp_path, save_image):
    def make(count=6, *, lists=None, mode="P", label_map=None, home=""):
        root = tmp_path / "voc"
        for index in range(count):
            save_image(root / home / "JPEGImages" / f"{index:03}.jpg", size=(30, 40), seed=index)
            save(root / home / "SegmentationClass" / f"{index:03}.png", classes(index), mode=mode)
            save(root / home / "SegmentationObject" / f"{index:03}.png", objects(index), mode="P")
        for name, members in (lists or {"train": [0, 1, 2], "val": [3, 4]}).items():
            file = root / home / "ImageSets" / "Segmentation" / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{index:03}\n" for index in members))
        if label_map:
            (root / home / "labelmap.txt").write_text(label_map)
        return root

    return make


@pytest.fixture
def make_source(settings):
    def make(root, target="mask", **changes):
        return parse_source(settings("voc", root=str(root), image_size=32, **changes)).for_target(target)

    return make


LABEL_MAP = "# label:color_rgb:parts:actions\ncat:128,0,0::\nbackground:0,0,0::\ndog:0,128,0::\ncow:128,128,0::\n"


@pytest.mark.parametrize("home", ["", "VOCdevkit/VOC2012"])
def test_class_masks_are_those_of_the_lists_and_have_vocs_classes(make_source, make_root, home):
    source = make_source(make_root(home=home))
    splits = source.splits(seed=0, strict=True)
    assert source.name == "voc"
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 3, "val": 2}
    info = source.info()
    assert info.num_classes == 21
    assert info.class_names[:3] == ("background", "aeroplane", "bicycle")
    for index in range(3):
        assert numpy.array_equal(splits.samples["train"].mask(index), classes(index))


def test_without_lists_the_images_with_a_mask_are_divided(make_source, make_root, save_image):
    root = make_root(10)
    (root / "ImageSets/Segmentation/train.txt").unlink()
    (root / "ImageSets/Segmentation/val.txt").unlink()
    save_image(root / "JPEGImages" / "alone.jpg", size=(30, 40))
    splits = make_source(root).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 6, "val": 2, "test": 2}
    assert set(splits.saved) == {"train", "val", "test"}


def test_a_mask_in_another_case_than_its_image_is_paired_and_said(make_source, make_root):
    root = make_root(lists={"train": [0, 1], "val": [2]})
    (root / "JPEGImages/000.jpg").rename(root / "JPEGImages/IMG.JPG")
    (root / "SegmentationClass/000.png").rename(root / "SegmentationClass/img.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("IMG\n001\n")
    splits = make_source(root).splits(seed=0)
    row = next(row for row in range(2) if splits.samples["train"].name(row).endswith("IMG.JPG"))
    assert numpy.array_equal(splits.samples["train"].mask(row), classes(0))
    found = {finding.code: finding.places for finding in splits.findings}
    assert found["name-other-case"] == ("JPEGImages/IMG.JPG and SegmentationClass/img.png",)


def test_classes_of_ones_own_stand_behind_the_background(make_source, make_root):
    source = make_source(make_root(), classes=["cat", "dog", "cow"])
    assert source.info().class_names == ("background", "cat", "dog", "cow")


@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_a_label_map_says_the_colours_of_classes(make_source, make_root, mode):
    root = make_root(mode=mode, label_map=LABEL_MAP + "void:224,224,192::\n")
    source = make_source(root)
    assert source.info().class_names == ("background", "cat", "dog", "cow", "void")
    expected = classes(1)
    expected[expected == 255] = 4
    assert numpy.array_equal(source.splits(seed=0).samples["train"].mask(1), expected)
    again = make_source(make_root(mode=mode, label_map=LABEL_MAP))
    assert numpy.array_equal(again.splits(seed=0).samples["train"].mask(1), classes(1))


def test_objects_have_the_pixels_of_one_mask_and_the_class_of_the_other(make_source, make_root):
    source = make_source(make_root(), "instances", classes=["cat", "dog", "cow"])
    samples = source.splits(seed=0, strict=True).samples["train"]
    assert source.info().class_names == ("cat", "dog", "cow")
    for index in range(3):
        found = samples.annotation(index)
        assert found.labels.tolist() == [index % 2, 2]
        assert found.boxes.tolist() == [[3, 2, 20, 12], [21, 15, 38, 27]]
        assert found.area.tolist() == [10 * 17, 12 * 17]
        assert numpy.array_equal(found.masks(30, 40), [objects(index) == 4, objects(index) == 7])


def test_objects_may_be_drawn_in_colours(make_source, make_root):
    root = make_root()
    for index in range(5):
        ids = objects(index) % 255  # void as background
        colours = numpy.stack([ids, ids * 2, ids * 0], axis=-1)
        Image.fromarray(colours).save(root / f"SegmentationObject/{index:03}.png")
    samples = make_source(root, "instances", classes=["cat", "dog", "cow"]).splits(seed=0, strict=True).samples["train"]
    assert numpy.array_equal(samples.annotation(1).masks(30, 40), [objects(1) == 4, objects(1) == 7])


@pytest.mark.parametrize("target", ["mask", "instances"])
def test_masks_of_more_pixels_than_the_limit_are_dropped(make_source, make_root, save_image, target):
    root = make_root()
    save_image(root / "JPEGImages/001.jpg", size=(60, 80))
    for folder, pixels in (("SegmentationClass", classes(1)), ("SegmentationObject", objects(1))):
        save(root / folder / "001.png", pixels.repeat(2, axis=0).repeat(2, axis=1))
    splits = make_source(root, target, max_pixels=30 * 40).splits(seed=0)
    assert len(splits.samples["train"]) == 2
    (finding,) = (finding for finding in splits.findings if finding.code == "image-too-large")
    assert finding.places[0].startswith("SegmentationClass/001.png (mask '")
    assert len(make_source(root, target, max_pixels=60 * 80).splits(seed=0).samples["train"]) == 3


@pytest.mark.parametrize(
    ("spoil", "words", "left"),
    [
        (lambda root: (root / "SegmentationClass/001.png").unlink(), "image(s) without a mask", 2),
        (lambda root: (root / "JPEGImages/001.jpg").unlink(), "mask(s) for a missing image", 2),
        (lambda root: (root / "SegmentationObject/001.png").unlink(), "image(s) without a mask of objects", 2),
        (
            lambda root: save(root / "SegmentationObject/001.png", objects(1)[:20]),
            "mask(s) of objects that do not fit",
            2,
        ),
        (lambda root: (root / "SegmentationObject/001.png").write_bytes(b"x"), "mask(s) of objects that do not fit", 2),
        (
            lambda root: save(
                root / "SegmentationObject/001.png", numpy.where(classes(1) == 0, 9, objects(1)).astype("u1")
            ),
            "object(s) without a class",
            3,
        ),
    ],
)
def test_what_is_broken_or_unpaired_is_dropped_counted_and_named(make_source, make_root, spoil, words, left):
    root = make_root()
    spoil(root)
    source = make_source(root, "instances")
    splits = source.splits(seed=0)
    assert len(splits.samples["train"]) == left
    (note,) = (note for note in splits.notes if words in note)
    assert note.startswith("1 ")
    assert "001" in note
    with pytest.raises(UserError, match=r"dataset 'voc': .*001"):
        source.check(strict=True)


@pytest.mark.parametrize(
    ("target", "folder", "message"),
    [
        ("mask", "SegmentationClass", r"no folder SegmentationClass in '.*voc' .* Masks elsewhere .* dataset=masks"),
        (
            "instances",
            "SegmentationObject",
            r"no masks of objects in '.*SegmentationObject', which task=instance needs",
        ),
    ],
)
def test_a_folder_that_is_missing_is_named(make_source, make_root, target, folder, message):
    root = make_root()
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(UserError, match=message):
        make_source(root, target).check()


@pytest.mark.parametrize("target", ["mask", "instances"])
def test_a_root_that_is_not_given_is_asked_for_by_the_data_sets_name(settings, target):
    source = parse_source(settings("voc")).for_target(target)
    with pytest.raises(UserError, match=r"dataset 'voc' needs the folder of its images.*Expected SegmentationClass/"):
        source.check()


def test_an_empty_folder_is_an_error(make_source, make_root):
    root = make_root()
    for file in (root / "SegmentationClass").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"no masks in '.*SegmentationClass'. Expected a PNG file for each image"):
        make_source(root).check()


def test_a_list_of_which_nothing_is_left_is_an_error(make_source, make_root):
    root = make_root(lists={"train": [0, 1], "val": [77]})
    with pytest.raises(
        UserError,
        match=r"nothing is left for val in '.*voc'. 1 listed image\(s\) of val that do not exist dropped: 077",
    ):
        make_source(root).check()


def test_masks_and_images_of_other_endings_are_counted(make_source, make_root):
    root = make_root()
    for file in ("JPEGImages/x.heic", "JPEGImages/x.xml", "SegmentationClass/x.psd", "SegmentationObject/x.mat"):
        (root / file).write_bytes(b"x")
    notes = [f.text for f in make_source(root, "instances").splits(seed=0).findings if f.code == "file-no-image"]
    assert notes == [
        "2 file(s) of an ending that is not read left out: 1 .heic, 1 .psd",
        "1 file(s) of an ending that is not read left out: 1 .mat",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"cat\n", r"labelmap.txt' has the line 'cat'. Expected name:r,g,b::"),
        (b"\xff\xfe", r"labelmap.txt' is empty. Expected lines name:r,g,b::"),
        (b"\xff\xfe\0", r"labelmap.txt' cannot be read: .*Expected lines name:r,g,b::"),
    ],
)
def test_a_label_map_of_another_form_is_named(make_source, make_root, text, message):
    root = make_root()
    (root / "labelmap.txt").write_bytes(text)
    with pytest.raises(UserError, match=message):
        make_source(root).check()
