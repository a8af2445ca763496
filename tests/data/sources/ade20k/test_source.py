import numpy
import pytest
from PIL import Image

from visionkit.data.sources import parse_source
from visionkit.errors import UserError

SIZE = (12, 16)
TABLE = "Idx\tRatio\tTrain\tVal\tStuff\tName\n" + "".join(
    f"{number}\t0.1\t10\t2\t1\t{name}\n"
    for number, name in enumerate(
        ["wall", "building, edifice", *(f"thing {n}, stuff {n}" for n in range(3, 150)), "wall, other"], 1
    )
)


def ids(number: int) -> numpy.ndarray:
    return numpy.random.RandomState(number).randint(0, 151, SIZE).astype(numpy.uint8)


@pytest.fixture
def make_ade(tmp_path, save_image):
    def make(table=TABLE, *, inner=""):
        root = tmp_path / inner
        for split, count in (("training", 3), ("validation", 2)):
            for number in range(count):
                save_image(root / "images" / split / f"ADE_{split}_{number:08}.jpg", size=SIZE, seed=number)
                file = root / "annotations" / split / f"ADE_{split}_{number:08}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(ids(number)).save(file)
        if table is not None:
            (root / "objectInfo150.txt").write_text(table)
        return tmp_path

    return make


@pytest.fixture
def make_source(settings):
    return lambda root: parse_source(settings("ade20k", root=str(root), image_size=16))


@pytest.mark.parametrize("inner", ["", "ADEChallengeData2016"])
def test_ids_from_one_are_classes_and_zero_is_ignored(make_source, make_ade, inner):
    source = make_source(make_ade(inner=inner))
    splits = source.splits(seed=0, strict=True)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 3, "val": 2}
    assert numpy.array_equal(splits.samples["train"].mask(2), numpy.where(ids(2) > 0, ids(2) - 1, 255))


def test_names_are_the_first_words_of_the_table(make_source, make_ade):
    names = make_source(make_ade()).info().class_names
    assert len(names) == 150
    assert names[1:3] == ("building", "thing 3")
    assert (names[0], names[149]) == ("wall", "wall, other")  # the first word alone would be there twice


def test_without_the_table_the_classes_are_numbered_and_this_is_said(make_source, make_ade):
    source = make_source(make_ade(None))
    names = source.info().class_names
    assert (len(names), names[0], names[149]) == (150, "class1", "class150")
    assert "150 class(es) named by their number, for objectInfo150.txt is missing" in source.splits(seed=0).notes


def test_a_table_that_lacks_a_class_is_an_error(make_source, make_ade):
    root = make_ade(TABLE.replace("\n7\t", "\n700\t"))
    with pytest.raises(UserError, match=r"objectInfo150.txt' has no name for class 7. Expected a row for each"):
        make_source(root).check()


def test_a_folder_of_another_layout_is_an_error(make_source, make_ade):
    root = make_ade()
    (root / "annotations").rename(root / "masks")
    with pytest.raises(UserError, match=r"no folder annotations/training in .*For another layout: dataset=masks"):
        make_source(root).check()
