from dataclasses import dataclass

import pytest

from visionkit.data.sources import SOURCES, check_target, parse_source, read_source
from visionkit.data.sources.base import DataInfo, Source, Splits
from visionkit.data.sources.roots import existing_root
from visionkit.errors import UserError

ALL = [
    "ade20k", "cifar10", "cifar100", "cityscapes", "coco", "digits", "fashion_mnist", "folder", "imagenet", "masks",
    "mnist", "python", "table", "voc", "yolo",
]  # fmt: skip
OBJECTS = {"boxes", "instances", "mask"}
GIVES = {"digits": {"label"} | OBJECTS, "coco": OBJECTS, "voc": OBJECTS, "yolo": OBJECTS, "masks": {"mask"}} | {
    "ade20k": {"mask"}, "cityscapes": {"mask"}, "table": {"label", "label_set"},
    "python": {"label", "label_set"} | OBJECTS,
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_every_source_is_made_from_its_yaml_file_and_carries_its_name(settings, name):
    values = settings(name)
    assert values["type"] == name
    source = parse_source(values)
    assert source.name == name
    assert source.targets == GIVES.get(name, {"label"})


@pytest.mark.parametrize(("name", "classes", "channels"), [("digits", 10, 1), ("mnist", 10, 1), ("cifar100", 100, 3)])
def test_info_holds_what_a_model_needs(settings, name, classes, channels):
    info = parse_source(settings(name)).info()
    assert (info.num_classes, info.in_channels, info.image_size) == (classes, channels, (32, 32))
    assert len(set(info.class_names)) == classes
    assert len(info.mean) == len(info.std) == channels


def test_mnist_is_normalised_by_its_own_constants(settings):
    info = parse_source(settings("mnist")).info()
    assert (info.mean, info.std) == ((0.1307,), (0.3081,))


def test_height_and_width_may_differ(settings):
    assert parse_source(settings("digits", image_size=[32, 24])).info().image_size == (32, 24)


def test_a_size_left_open_is_the_data_sets_own_or_an_error(settings):
    assert parse_source(settings("digits", image_size=None)).info().image_size == (32, 32)
    with pytest.raises(UserError, match=r"dataset.image_size: expected a whole number .*found nothing.*image_size=224"):
        parse_source(settings("mnist", image_size=None))


@pytest.mark.parametrize("size", [0, -3, [32], "big", 2.5])
def test_a_wrong_image_size_is_named(settings, size):
    with pytest.raises(UserError, match=r"dataset.image_size"):
        parse_source(settings("digits", image_size=size))


def test_an_unknown_key_gets_the_nearest_one(settings):
    with pytest.raises(UserError, match=r"dataset: unknown key 'image_sise'. Did you mean 'image_size'"):
        parse_source(settings("digits", image_sise=32))


def test_an_unknown_augmentation_is_refused_with_the_settings(settings):
    with pytest.raises(UserError, match=r"dataset.augment: no augmentation is called 'afine'. Did you mean 'affine'"):
        parse_source(settings("digits", augment={"afine": {}}))


def test_no_augmentation_may_be_written_as_null(settings):
    assert parse_source(settings("digits", augment=None)).augment == ()


def test_means_must_be_one_per_channel(settings):
    with pytest.raises(UserError, match=r"dataset.mean: expected 1 value\(s\).*found \[0.5, 0.5, 0.5\].*mean=null"):
        parse_source(settings("digits", mean=[0.5, 0.5, 0.5])).check()


def test_an_unknown_data_set_lists_the_known_ones():
    with pytest.raises(UserError, match=r"no dataset is called 'minst'. Did you mean 'mnist'.*cifar10, cifar100"):
        read_source({"type": "minst"})


def test_a_data_set_that_fits_a_task_passes():
    assert check_target("mnist", "classify", "label") is None


def test_a_data_set_that_does_not_fit_says_so():
    with pytest.raises(
        UserError, match=r"dataset 'mnist' gives labels, but task 'segment' needs masks. Data sets with masks: digits"
    ):
        check_target("mnist", "segment", "mask")


def test_a_data_set_that_does_not_fit_lists_those_which_do():
    message = r"gives labels, but task 'detect' needs boxes. Data sets with boxes: digits.* Try: dataset=digits"
    with pytest.raises(UserError, match=message):
        check_target("mnist", "detect", "boxes")


def test_a_third_party_adds_a_source_with_one_decorated_class(monkeypatch):
    monkeypatch.setattr(SOURCES, "_rows", dict(SOURCES._rows))

    @SOURCES.register("theirs")
    @dataclass(frozen=True, kw_only=True)
    class Theirs(Source):
        shade: int = 3

        def info(self) -> DataInfo:
            return self.describe(("a", "b"), in_channels=3)

        def splits(self, *, seed, saved=None, strict=False) -> Splits:
            return Splits({})

    source = read_source({"type": "theirs", "image_size": 16, "shade": 5})
    assert source.shade == 5
    assert source.info() == DataInfo("theirs", ("a", "b"), 3, (16, 16), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert source.input_transform().image_size == (16, 16)


def test_a_root_that_is_not_given_says_what_to_type():
    with pytest.raises(UserError, match=r"dataset.root is not given. Expected X. Try: dataset.root=path/to/folder"):
        existing_root(None, name="folder", expected="X")


def test_a_root_that_is_missing_is_named():
    with pytest.raises(
        UserError, match=r"dataset.root: there is no folder 'no/where' \(looked in .*parent .*Expected X"
    ):
        existing_root("no/where", name="folder", expected="X")


def test_a_root_that_is_a_file_says_so(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"x")
    with pytest.raises(UserError, match=r"a.zip' is a file, not a folder.*archive must be unpacked"):
        existing_root(str(tmp_path / "a.zip"), name="folder", expected="X")


def test_an_empty_root_says_so(tmp_path):
    with pytest.raises(UserError, match=r"the folder '.*' is empty. Expected X"):
        existing_root(str(tmp_path), name="folder", expected="X")
