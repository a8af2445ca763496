import numpy
import pytest
from PIL import Image

from visionkit.data.sources import parse_source
from visionkit.errors import UserError

SIZE = (8, 16)
NAMES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip


def ids(number: int) -> numpy.ndarray:
    return numpy.random.RandomState(number).randint(0, 34, SIZE).astype(numpy.uint8)


@pytest.fixture
def make_cityscapes(tmp_path, save_image):
    """Two cities in train and one in val; ``masks`` gives the mask of each suffix for a number."""

    def make(masks=None, *, test=False, images="", labels=""):
        masks = masks or {"labelIds": ids, "instanceIds": ids, "color": lambda n: ids(n) * 7}
        splits = {"train": ("aachen", "bochum"), "val": ("lindau",)} | ({"test": ("berlin",)} if test else {})
        for split, cities in splits.items():
            for number, city in enumerate(cities):
                name = f"{city}_00000{number}_000019"
                folder = tmp_path / images / "leftImg8bit" / split / city
                save_image(folder / f"{name}_leftImg8bit.png", size=SIZE, seed=number)
                for kind, draw in masks.items():
                    file = tmp_path / labels / "gtFine" / split / city / f"{name}_gtFine_{kind}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(numpy.zeros_like(ids(0)) if split == "test" else draw(number)).save(file)
                (file.parent / f"{name}_gtFine_polygons.json").write_text("{}")
        return tmp_path

    return make


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("cityscapes", root=str(root), image_size=16, **changes))


def test_label_ids_become_the_nineteen_classes_and_others_are_ignored(make_source, make_cityscapes):
    source = make_source(make_cityscapes())
    splits = source.splits(seed=0, strict=True)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 2, "val": 1}
    assert source.info().class_names == NAMES
    assert splits.saved is None
    # the pairs of id and train id in cityscapesScripts, helpers/labels.py
    train_ids = {
        7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14,
        28: 15, 31: 16, 32: 17, 33: 18,
    }  # fmt: skip
    table = numpy.array([train_ids.get(value, 255) for value in range(34)])
    assert numpy.array_equal(splits.samples["train"].mask(1), table[ids(1)])


def test_masks_of_train_ids_are_read_where_there_are_no_others(make_source, make_cityscapes):
    def train_ids(number):
        return numpy.where(ids(number) < 19, ids(number), 255).astype(numpy.uint8)

    source = make_source(make_cityscapes({"color": ids, "labelTrainIds": train_ids}))
    splits = source.splits(seed=0, strict=True)
    assert source.info().class_names == NAMES
    assert numpy.array_equal(splits.samples["train"].mask(1), train_ids(1))


def test_test_has_no_public_masks_and_is_left_out_with_a_note(make_source, make_cityscapes):
    splits = make_source(make_cityscapes(test=True)).splits(seed=0, strict=True)
    assert set(splits.samples) == {"train", "val"}
    (note,) = [note for note in splits.notes if "test" in note]
    assert note == (
        "1 image(s) of test left out, whose masks are not public: "
        "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png"
    )


def test_archives_unpacked_beside_each_other_are_found(make_source, make_cityscapes):
    root = make_cityscapes(images="leftImg8bit_trainvaltest", labels="gtFine_trainvaltest")
    assert len(make_source(root).splits(seed=0).samples["train"]) == 2


def test_a_folder_without_masks_is_an_error(make_source, make_cityscapes):
    root = make_cityscapes()
    (root / "gtFine").rename(root / "gtCoarse")
    with pytest.raises(UserError, match=r"no folder gtFine/train in '.*Expected leftImg8bit.*dataset=masks"):
        make_source(root).check()
