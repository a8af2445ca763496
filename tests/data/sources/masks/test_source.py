from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image, ImageFilter

from tests.helpers.paths import SHARED_DATA
from visionkit.data import VisionDataModule
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.sources import parse_source
from visionkit.errors import UserError

CAMVID = SHARED_DATA / "camvid"
SIZE = (6, 9)


def values(number: int, among=(0, 1, 2)) -> numpy.ndarray:
    """A mask, seeded, whose first row holds each of the values."""
    pixels = numpy.random.RandomState(number).choice(among, SIZE).astype(numpy.uint8)
    pixels[0, : len(among)] = among
    return pixels


def palette(pixels: numpy.ndarray) -> Image.Image:
    """An index image in the colours of Pascal VOC's first classes."""
    image = Image.fromarray(pixels).convert("P")
    image.putdata(pixels.ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + [0] * 756)
    return image


def save(path: Path, image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, numpy.ndarray) else image).save(path)
    return path


@pytest.fixture
def make_masks(tmp_path, save_image):
    """A folder with images and masks; ``splits`` says how many each has, "" stands for no folders of splits."""

    def make(splits=None, *, among=(0, 1, 2), images="images", masks="masks", suffix="", paint=lambda pixels: pixels):
        root = tmp_path / "scenes"
        for split, count in (splits or {"train": 4, "val": 2, "test": 2}).items():
            for index in range(count):
                name = f"{split}{index}"
                save_image(root / images / split / f"{name}.jpg", size=SIZE, seed=index)
                save(root / masks / split / f"{name}{suffix}.png", paint(values(index, among)))
        return root

    return make


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("masks", root=str(root), image_size=16, **changes))


def masks(source, split="train") -> list[numpy.ndarray]:
    samples = source.splits(seed=0).samples[split]
    return [samples.mask(index).numpy() for index in range(len(samples))]


def test_masks_are_read_as_they_are_and_paired_with_their_images(make_source, make_masks):
    source = make_source(make_masks(), classes=["sky", "road", "car"])
    splits = source.splits(seed=0, strict=True)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 4, "val": 2, "test": 2}
    assert (splits.saved, splits.notes) == (None, [])
    samples = splits.samples["train"]
    for index in range(4):
        assert Path(samples.name(index)).name == f"train{index}.jpg"
        assert numpy.array_equal(samples.mask(index), values(index))
        assert samples.mask(index).dtype == torch.uint8
    assert source.info().class_names == ("sky", "road", "car")


@pytest.mark.parametrize("paint", [palette, lambda v: Image.fromarray(v).convert("RGB"), lambda v: v])
def test_ids_are_read_from_palette_grey_and_grey_rgb_files_alike(make_source, make_masks, paint):
    assert numpy.array_equal(masks(make_source(make_masks(paint=paint)))[1], values(1))


@pytest.mark.parametrize("dtype", [bool, numpy.uint8, numpy.int64])
def test_masks_are_arrays_as_well(make_source, make_masks, dtype):
    root = make_masks(among=(0, 1))
    for path in (root / "masks").rglob("*.png"):
        numpy.save(path.with_suffix(".npy"), numpy.asarray(Image.open(path)).astype(dtype))
        path.unlink()
    source = make_source(root)
    assert source.splits(seed=0, strict=True).notes == []
    assert numpy.array_equal(masks(source)[1], values(1, (0, 1)))


def test_masks_of_more_pixels_than_the_limit_are_left_out_and_their_finding_says_how_to_allow_them(
    make_source, make_masks, save_image
):
    root = make_masks()
    save_image(root / "images/train/wide.jpg", size=(20, 30))
    save(root / "masks/train/wide.png", numpy.zeros((20, 30), numpy.uint8))
    splits = make_source(root, max_pixels=599).splits(seed=0)
    (finding,) = (finding for finding in splits.findings if finding.code == "image-too-large")
    assert finding.remedy == "Allow them: dataset.max_pixels=NUMBER"
    assert finding.places[0].startswith("masks/train/wide.png (mask '")
    assert len(splits.samples["train"]) == 4
    assert len(make_source(root, max_pixels=600).splits(seed=0, strict=True).samples["train"]) == 5


def test_masks_of_sixteen_bits_are_read_too(make_source, make_masks):
    root = make_masks(paint=lambda pixels: Image.fromarray(pixels.astype(numpy.uint16) * 400))
    source = make_source(root)
    assert source.info().class_names == ("0", "400", "800")
    assert numpy.array_equal(masks(source)[1], values(1))


def test_without_names_the_classes_are_the_ids_in_the_training_masks_gaps_allowed(make_source, make_masks):
    source = make_source(make_masks(among=(3, 7, 40, 255)), ignore=255)
    assert source.info().class_names == ("3", "7", "40")
    for index, mask in enumerate(masks(source)):
        truth = values(index, (3, 7, 40, 255))
        for label, value in enumerate((3, 7, 40)):
            assert numpy.array_equal(mask == label, truth == value)
        assert numpy.array_equal(mask == 255, truth == 255)


@pytest.mark.parametrize("ignore", [255, [255]])
def test_255_is_ignored_where_it_is_declared(make_source, make_masks, ignore):
    source = make_source(make_masks(among=(0, 1, 255)), ignore=ignore)
    assert source.info().class_names == ("0", "1")
    assert source.splits(seed=0, strict=True).notes == []
    assert numpy.array_equal(masks(source)[0], values(0, (0, 1, 255)))


def test_255_beside_small_ids_is_a_class_unless_declared_and_this_is_said(make_source, make_masks):
    source = make_source(make_masks({"train": 2, "val": 1}, among=(0, 1, 255)))
    assert source.info().class_names == ("0", "1", "255")
    assert source.splits(seed=0, strict=True).notes[1] == (
        "2 training mask(s) with pixels of 255, read as a class: masks/train/train0.png, masks/train/train1.png"
    )
    assert numpy.array_equal(masks(source)[0] == 2, values(0, (0, 1, 255)) == 255)


def test_three_greys_are_three_classes(make_source, make_masks):
    source = make_source(make_masks(among=(0, 127, 255)))
    assert source.info().class_names == ("0", "127", "255")
    assert source.splits(seed=0).notes[0] == (
        "masks hold 0, 127, 255: each value is a class, called by its number. Names: dataset.class_map={0: NAME, ...}"
    )
    assert len(source.splits(seed=0, strict=True).notes) == 1
    assert numpy.array_equal(masks(source)[0], values(0, (0, 127, 255)) // 127)


def blob(number: int, size=(40, 50)) -> numpy.ndarray:
    """A mask of 0 and 255, a rectangle on a background."""
    pixels = numpy.zeros(size, dtype=numpy.uint8)
    pixels[5 : 20 + number, 8:40] = 255
    return pixels


@pytest.fixture
def make_blobs(tmp_path, save_image):
    """Images and masks of `blob`, saved as ``suffix`` after ``change`` was called with its number and pixels."""

    def make(change=lambda number, pixels: pixels, *, suffix=".png", count=6):
        root = tmp_path / "blobs"
        for number in range(count):
            save_image(root / "images" / f"{number}.jpg", size=(40, 50), seed=number)
            save(root / "masks" / f"{number}{suffix}", change(number, blob(number)))
        return root

    return make


def all_masks(source) -> dict[int, numpy.ndarray]:
    samples = source.splits(seed=0).samples.values()
    return {int(Path(s.name(index)).stem): s.mask(index).numpy() for s in samples for index in range(len(s))}


def test_a_stray_pixel_is_read_as_the_nearer_level_and_said(make_source, make_blobs):
    def stray(number, pixels):
        pixels[0, :2] = [254, 3] if number == 3 else 0
        return pixels

    source = make_source(make_blobs(stray))
    assert source.info().class_names == ("background", "foreground")
    assert source.splits(seed=0).notes[:2] == [
        "masks hold 0 and 255: read as background and foreground",
        "1 mask(s) with stray values near 0 and 255, read as the nearer one: masks/3.png (2 pixels: 3, 254)",
    ]
    for number, mask in all_masks(source).items():
        expected = blob(number) // 255
        expected[0, 0] = number == 3
        assert numpy.array_equal(mask, expected)
    with pytest.raises(
        UserError, match=r"stray values near 0 and 255, .*: masks/3.png \(2 pixels: 3, 254\). Save masks"
    ):
        source.check(strict=True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_binary_masks_saved_as_jpeg_are_the_masks_that_they_were(make_source, make_blobs, mode):
    root = make_blobs(lambda number, pixels: Image.fromarray(pixels).convert(mode), suffix=".jpg")
    source = make_source(root)
    assert source.info().class_names == ("background", "foreground")
    assert any(note.startswith("6 mask(s) with stray values near") for note in source.splits(seed=0).notes)
    for number, mask in all_masks(source).items():
        assert numpy.array_equal(mask, blob(number) // 255)


def test_a_map_of_the_two_levels_names_them_and_their_strays(make_source, make_blobs):
    root = make_blobs(lambda number, pixels: numpy.where(pixels, pixels - number, number).astype(numpy.uint8))
    source = make_source(root, class_map={"255": "cell", "0": "ground"})
    assert source.info().class_names == ("cell", "ground")
    assert numpy.array_equal(all_masks(source)[5], blob(5) == 0)


def test_more_than_fifty_values_without_a_list_say_how_to_write_the_map(make_source, make_blobs):
    root = make_blobs(lambda number, pixels: numpy.arange(2000, dtype=numpy.uint16).reshape(40, 50).astype(numpy.uint8))
    with pytest.raises(UserError, match=r"hold 256 values \(0, 1, .*class_map=\{0-127: background, 128-255: object\}"):
        make_source(root).check()
    source = make_source(root, class_map={"0-127": "background", "128-255": "object"})
    assert numpy.array_equal(all_masks(source)[0].ravel()[:256], numpy.arange(256) // 128)
    assert make_source(root, classes=[str(number) for number in range(200)]).info().num_classes == 200


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("among", [(0, 1), (0, 100, 255)])
def test_another_value_in_another_split_than_train_says_how_to_map_it(make_source, make_masks, split, among):
    root = make_masks(among=(0, 255))
    areas = numpy.sort(values(1, among), axis=0)
    save(root / f"masks/{split}/{split}1.png", areas)
    with pytest.raises(
        UserError,
        match=rf"hold 0 and 255, but 1 mask\(s\) of {split} also .*{split}1.png \({among[0]}, {among[1]}.*"
        rf"class_map={{0: background, {among[1]}: NAME, 255: foreground}}",
    ):
        make_source(root).check()
    class_map = {"0": "a", "1": "b", "100": "b", "255": "b"}
    assert numpy.array_equal(masks(make_source(root, class_map=class_map), split)[1], areas > 0)


@pytest.mark.parametrize("grey", [210, 240])
def test_a_grey_near_white_that_fills_areas_is_a_class(make_source, make_blobs, grey):
    def add(number, pixels):
        pixels[22:28, 8:40] = grey
        return pixels

    source = make_source(make_blobs(add))
    assert source.info().class_names == ("0", str(grey), "255")
    expected = numpy.searchsorted([0, grey, 255], add(2, blob(2)))
    assert numpy.array_equal(all_masks(source)[2], expected)


def test_a_rare_object_beside_a_wide_void_is_no_background(make_source, make_blobs):
    def add(number, pixels):
        pixels[0, 0] = number < 3
        return pixels

    source = make_source(make_blobs(add), test_fraction=0.0, ignore=None)
    assert source.info().class_names == ("0", "1", "255")
    assert source.splits(seed=0).notes[1].startswith("6 training mask(s) with pixels of 255, read as a class: masks/")


COLOURS_OF_IDS = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]


def numbered_anew(number: int, pixels: numpy.ndarray) -> Image.Image:
    """A palette mask of classes 0, 1 and 2, whose indices are in the order of 0, 1, 2 or of 0, 2, 1."""
    order = [0, 1, 2] if number % 2 else [0, 2, 1]
    image = Image.fromarray(numpy.argsort(order).astype(numpy.uint8)[pixels]).convert("P")
    image.putdata(numpy.argsort(order)[pixels].ravel().tolist())
    image.putpalette([value for index in order for value in COLOURS_OF_IDS[index]])
    return image


def two_areas(number: int, pixels: numpy.ndarray) -> numpy.ndarray:
    pixels = (pixels > 0).astype(numpy.uint8)
    pixels[30:35, 8:40] = 2
    return pixels


def test_palettes_that_number_colours_anew_in_each_mask_ask_for_a_map_by_colour(make_source, make_blobs):
    root = make_blobs(lambda number, pixels: numbered_anew(number, two_areas(number, pixels)))
    with pytest.raises(
        UserError,
        match=r"3 mask\(s\) whose palette draws an id in another colour than other masks do: masks/1.png \(1 is "
        r"'255,0,0', in masks/0.png '0,255,0'\).*class_map={0\\,0\\,0: a, 0\\,255\\,0: b, 255\\,0\\,0: c}'",
    ):
        make_source(root).check()
    source = make_source(root, class_map={"0,0,0": "ground", "255,0,0": "red", "0,255,0": "green"})
    for number, mask in all_masks(source).items():
        assert numpy.array_equal(mask, two_areas(number, blob(number)))
    by_id = make_source(root, class_map={"0": "a", "1": "b", "2": "c"})
    assert any("in another colour than other masks do, read by the ids" in note for note in by_id.splits(seed=0).notes)


def test_palettes_may_differ_in_colours_that_do_not_occur(make_source, make_masks):
    def paint(pixels):
        image = palette(pixels)
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, int(pixels.sum()), 9, 9])
        return image

    assert make_source(make_masks(paint=paint)).splits(seed=0, strict=True).notes == []


def test_three_levels_in_jpeg_ask_for_png_or_ranges(make_source, make_blobs):
    root = make_blobs(lambda number, pixels: two_areas(number, pixels) * 100, suffix=".jpg")
    with pytest.raises(
        UserError,
        match=r"saved as JPEG, which changes values.*class_map={0-\d+: background, \d+-\d+: b, \d+-255: c}",
    ):
        make_source(root).check()
    source = make_source(root, class_map={"0-50": "background", "51-150": "b", "151-255": "c"})
    for number, mask in all_masks(source).items():
        assert (mask == two_areas(number, blob(number))).mean() > 0.99


def test_ids_in_jpeg_under_a_list_of_classes_are_said(make_source, make_blobs):
    root = make_blobs(lambda number, pixels: two_areas(number, pixels), suffix=".jpg")
    notes = make_source(root, classes=["a", "b", "c"]).splits(seed=0).notes
    assert any(note.startswith("6 mask(s) saved as JPEG, which changes values") for note in notes)


def test_smoothed_edges_are_no_classes(make_source, make_blobs):
    def smooth(number, pixels):
        return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1))

    root = make_blobs(smooth)
    with pytest.raises(UserError, match=r"24 values \(.*, of which 22 are rare and fill no area, as in smoothed edges"):
        make_source(root).check()
    source = make_source(root, class_map={"0-127": "background", "128-255": "object"})
    assert (all_masks(source)[1] == blob(1) // 255).mean() > 0.98


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ignore": 255, "class_map": {"0": "a", "255": "b"}}, r"the id 255 is ignored, but dataset.class_map calls"),
        ({"ignore": 255, "class_map": {"0,0,0": "a", "1,1,1": "b"}}, r"255 is an id, but dataset.class_map names col"),
    ],
)
def test_what_is_ignored_may_not_be_a_class_of_the_map(make_source, changes, message):
    with pytest.raises(UserError, match=message):
        make_source("nowhere", **changes)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "1"])
def test_ids_are_read_from_files_with_transparency_and_of_one_bit_alike(make_source, make_masks, mode):
    paint = {
        "LA": lambda v: Image.merge("LA", [Image.fromarray(v), Image.fromarray(v * 90)]),
        "RGBA": lambda v: Image.merge("RGBA", [*[Image.fromarray(v)] * 3, Image.fromarray(v * 90)]),
        "1": lambda v: Image.fromarray(v * 255).convert("1"),
    }[mode]
    root = make_masks(among=(0, 1), paint=paint)
    assert numpy.array_equal(masks(make_source(root))[1], values(1, (0, 1)))


@pytest.mark.parametrize("value", [-1, 70_000])
def test_a_value_that_is_no_id_is_said_instead_of_read_as_another(make_source, make_masks, value):
    root = make_masks()
    pixels = values(2).astype(numpy.int32)
    pixels[0, 0] = value
    (root / "masks/train/train2.png").unlink()
    save(root / "masks/train/train2.tif", Image.fromarray(pixels))
    note = make_source(root).splits(seed=0).notes[0]
    assert note.startswith("1 mask(s) or image(s) that cannot be read dropped: masks/train/train2.tif (mask '")
    assert f"holds the value {value}. Expected whole numbers from 0 to 65,535" in note


def test_a_grey_mask_among_coloured_ones_is_read_by_its_colours(make_source, make_masks):
    root = make_masks(paint=lambda pixels: palette(pixels).convert("RGB"))
    save(root / "masks/train/train2.png", numpy.zeros(SIZE, dtype=numpy.uint8))
    source = make_source(root, class_map=COLOURS)
    assert source.splits(seed=0, strict=True).notes == []
    assert masks(source)[2].tolist() == [[0] * SIZE[1]] * SIZE[0]


def test_ids_that_no_training_mask_has_are_ignored_and_named(make_source, make_masks):
    root = make_masks()
    save(root / "masks/val/val1.png", values(1, (0, 2, 9)))
    source = make_source(root)
    splits = source.splits(seed=0)
    assert source.info().num_classes == 3
    assert splits.notes == ["1 mask(s) with values outside the classes ignored there: masks/val/val1.png (9)"]
    assert numpy.array_equal(splits.samples["val"].mask(1) == 255, values(1, (0, 2, 9)) == 9)


def test_values_outside_the_classes_name_file_and_values_and_end_a_strict_run(make_source, make_masks):
    source = make_source(make_masks({"train": 2, "val": 1}, among=(0, 1, 2, 5)), classes=["a", "b"])
    assert source.splits(seed=0).notes[0] == (
        "3 mask(s) with values outside the classes ignored there: masks/train/train0.png (2, 5), "
        "masks/train/train1.png (2, 5), masks/val/val0.png (2, 5)"
    )
    with pytest.raises(
        UserError,
        match=r"outside the classes ignored there: masks/train/train0.png \(2, 5\) \(and 2 more\). Name",
    ):
        source.check(strict=True)


def test_an_ignored_id_counts_as_no_class_and_is_nothing_odd(make_source, make_masks):
    source = make_source(make_masks(among=(0, 1, 11)), ignore=[11])
    assert source.splits(seed=0, strict=True).notes == []
    assert source.info().class_names == ("0", "1")
    assert numpy.array_equal(masks(source)[0] == 255, values(0, (0, 1, 11)) == 11)


def test_null_in_the_place_of_a_name_ignores_the_id(make_source, make_masks):
    source = make_source(make_masks(), classes=[None, "road", "car"])
    assert source.splits(seed=0, strict=True).notes == []
    assert source.info().class_names == ("road", "car")
    assert numpy.array_equal(masks(source)[0], numpy.where(values(0) == 0, 255, values(0).astype(int) - 1))


def test_an_id_that_is_ignored_and_named_is_an_error(make_source, make_masks):
    with pytest.raises(UserError, match=r"dataset.ignore: the id 0 is ignored, but dataset.classes calls it 'sky'"):
        make_source(make_masks(), classes=["sky", "road", "car"], ignore=0).check()


@pytest.mark.parametrize("classes", [None, ["ground", "cell"]])
def test_0_and_255_alone_are_two_classes(make_source, make_masks, classes):
    source = make_source(make_masks(among=(0, 255)), classes=classes)
    names = tuple(classes or ("background", "foreground"))
    assert source.info().class_names == names
    assert source.splits(seed=0, strict=True).notes == [f"masks hold 0 and 255: read as {names[0]} and {names[1]}"]
    assert numpy.array_equal(masks(source)[0], values(0, (0, 255)) // 255)


def test_0_and_255_under_more_names_say_what_they_look_like(make_source, make_masks):
    with pytest.raises(UserError, match=r"hold 0 and 255 only, .* 3 classes are given: a, b, c. Expected two. Try:"):
        make_source(make_masks(among=(0, 255)), classes=["a", "b", "c"]).check()


def test_0_and_255_under_a_map_without_255_say_what_they_look_like(make_source, make_masks):
    root = make_masks(among=(0, 255))
    with pytest.raises(UserError, match=r"hold 0 and 255 only, .*nothing of 255.* Try: .*={0: ground, 255: object}"):
        make_source(root, class_map={"0": "ground", "1": "cell"}).check()
    source = make_source(root, class_map={"0": "ground", "255": "cell"})
    assert numpy.array_equal(masks(source)[0], values(0, (0, 255)) // 255)
    assert make_source(root, class_map={"0": "ground", "1": "cell", "255": None}).info().num_classes == 2


@pytest.mark.parametrize("changes", [{"classes": ["a", "b"]}, {"class_map": {"0": "a", "1": "b"}}])
def test_training_masks_without_any_of_the_classes_are_an_error(make_source, make_masks, changes):
    source = make_source(make_masks(among=(5, 6, 255)), **changes)
    with pytest.raises(UserError, match=r"nothing to train on: the training masks hold 5, 6, 255, .*Expected 0, 1 in"):
        source.check()


def test_masks_of_ignored_pixels_alone_are_an_error(make_source, make_masks):
    with pytest.raises(UserError, match=r"found 0 class\(es\) in the training masks, beside ignored pixels"):
        make_source(make_masks(among=(255,)), ignore=255).check()


def test_a_split_without_a_pixel_that_counts_is_an_error_and_in_test_a_note(make_source, make_masks):
    root = make_masks()
    for index in range(2):
        save(root / f"masks/test/test{index}.png", values(index, (7, 255)))
    notes = make_source(root).splits(seed=0).notes
    assert "no pixel of any class in the masks of test: all are ignored, and nothing can be scored" in notes
    for index in range(2):
        save(root / f"masks/val/val{index}.png", values(index, (7, 255)))
    with pytest.raises(
        UserError, match=r"dataset 'masks': no pixel of any class in the 2 mask\(s\) of val in .*scenes'"
    ):
        make_source(root).check()


def test_a_val_that_is_held_out_without_a_pixel_that_counts_asks_for_another_division(make_source, make_masks):
    root = make_masks({"": 9})
    for index in range(1, 9):
        save(root / f"masks/{index}.png", values(index, (255,)))
    with pytest.raises(UserError, match=r"no pixel of any class .* Try another division: dataset.split_seed=1"):
        make_source(root, ignore=255).splits(seed=0)


def test_a_map_joins_and_ignores_ids(make_source, make_masks):
    class_map = {"0": "ground", "1": "thing", "2": "thing", "3": None}
    source = make_source(make_masks(among=(0, 1, 2, 3)), class_map=class_map)
    assert source.info().class_names == ("ground", "thing")
    expected = numpy.array([0, 1, 1, 255])[values(0, (0, 1, 2, 3))]
    assert numpy.array_equal(masks(source)[0], expected)
    assert source.splits(seed=0, strict=True).notes == []


COLOURS = {"0,0,0": "ground", "#800000": "road", " 0, 128, 0 ": None}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_classes_by_the_map_in_rgb_and_palette_files(make_source, make_masks, mode):
    root = make_masks(paint=lambda pixels: palette(pixels).convert(mode))
    source = make_source(root, class_map=COLOURS)
    assert source.info().class_names == ("ground", "road")
    assert numpy.array_equal(masks(source)[0], numpy.array([0, 1, 255])[values(0)])
    assert source.splits(seed=0, strict=True).notes == []


def test_a_colour_without_a_class_is_named(make_source, make_masks):
    root = make_masks({"train": 2, "val": 1}, among=(0, 1, 3), paint=lambda pixels: palette(pixels).convert("RGB"))
    note = make_source(root, class_map=COLOURS).splits(seed=0).notes[0]
    assert note.startswith(
        "3 mask(s) with values outside the classes ignored there: masks/train/train0.png ('128,128,0')"
    )


def test_of_thousands_of_unknown_colours_the_classes_are_kept(make_source, make_blobs):
    def noise(number, pixels):
        colours = numpy.random.RandomState(number).randint(1, 256, (*pixels.shape, 3)).astype(numpy.uint8)
        return numpy.where(pixels[..., None] > 0, numpy.array([255, 0, 0], dtype=numpy.uint8), colours)

    source = make_source(make_blobs(noise), class_map={"1,1,1": "ground", "255,0,0": "thing"})
    splits = source.splits(seed=0)
    assert any("6 mask(s) with values outside" in note and "and 988 more" in note for note in splits.notes)
    assert numpy.array_equal(all_masks(source)[0] == 1, blob(0) > 0)


def test_the_order_of_classes_may_be_given_beside_the_map(make_source, make_masks):
    source = make_source(make_masks(), class_map={"0": "a", "1": "b", "2": "c"}, classes=["c", "b", "a"])
    assert source.info().class_names == ("c", "b", "a")
    assert numpy.array_equal(masks(source)[0], 2 - values(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_map": {"sky": "0"}}, r"class_map: expected ids or colours as keys, all of one kind, found \"sky\""),
        ({"class_map": {"0": "a", "1,2,3": "b"}}, r"class_map: expected ids or colours as keys, all of one kind"),
        ({"class_map": {"1,2,300": "b"}}, r"class_map: expected ids or colours as keys.*found \"1,2,300\""),
        ({"class_map": {"#12345x": "b"}}, r"class_map: expected ids or colours as keys"),
    ],
)
def test_a_map_of_another_form_is_named_at_once(make_source, changes, message):
    with pytest.raises(UserError, match=message):
        make_source("nowhere", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_map": {"0": "a", "1": "bb"}, "classes": ["a", "b"]}, r"'bb' is none of dataset.classes \(a, b\)"),
        (
            {"class_map": {"0": "a", "1": "b"}, "classes": ["a", "b", "c"]},
            r"no value means 'c', one of dataset.classes",
        ),
        ({"classes": ["a", "b", "a"]}, r"dataset.classes: 'a' is there twice"),
        ({"ignore": [0, 1]}, r"found 1 class\(es\) in the training masks \(2\), beside ignored pixels"),
        ({"classes": [str(n) for n in range(256)]}, r"256 classes, but a mask has room for 255 and the ignored"),
        (
            {"images": "pictures"},
            r"dataset.images: there is no folder 'pictures' in '.*scenes'. Expected.*images=images",
        ),
        ({"masks": "segs"}, r"dataset.masks: there is no folder 'segs' in '.*scenes'"),
        (
            {"masks": {"train": "masks/train"}},
            r"dataset.images.train: there is no folder '' in '.*scenes'. Expected one",
        ),
        ({"mask_suffix": "_m"}, r"none of the 4 images in '.*train' has a mask of its own name .*mask_suffix=_mask"),
    ],
)
def test_what_does_not_go_together_is_an_error(make_source, make_masks, changes, message):
    with pytest.raises(UserError, match=message):
        make_source(make_masks(), **changes).check()


def test_a_class_that_no_training_mask_has_is_a_note(make_source, make_masks):
    splits = make_source(make_masks(), classes=["a", "b", "c", "d"]).splits(seed=0, strict=True)
    assert splits.notes == ["1 class(es) without a pixel in any training mask: d"]


@pytest.mark.parametrize(
    ("folders", "changes"),
    [
        (("pictures", "truth"), {"images": "pictures", "masks": "truth"}),
        (("imgs", "labels"), {}),
        (("images", "masks"), {"images": {"train": "images/train"}, "masks": {"train": "masks/train"}}),
    ],
)
def test_folders_of_other_names_are_found_or_given(make_source, make_masks, folders, changes):
    source = make_source(make_masks(images=folders[0], masks=folders[1]), **changes)
    assert source.splits(seed=0).samples["train"].mask(0).shape == SIZE


def test_a_folder_of_images_and_one_of_masks_in_each_split_are_understood(make_source, make_masks, tmp_path):
    root = make_masks()
    for kind in ("images", "masks"):
        for split, name in (("train", "train"), ("val", "valid"), ("test", "test")):
            (tmp_path / "other" / name).mkdir(parents=True, exist_ok=True)
            (root / kind / split).rename(tmp_path / "other" / name / kind)
    splits = make_source(tmp_path / "other").splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 4, "val": 2, "test": 2}


def test_an_undivided_set_is_divided_and_the_division_saved(make_source, make_masks):
    source = make_source(make_masks({"": 20}))
    splits = source.splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 14, "val": 3, "test": 3}
    again = source.splits(seed=5, saved=splits.saved).samples["val"]
    for index in range(3):
        assert again.name(index) == splits.samples["val"].name(index)
        assert numpy.array_equal(again.mask(index), values(int(Path(again.name(index)).stem)))


def test_names_of_masks_may_have_a_suffix(make_source, make_masks):
    source = make_source(make_masks(suffix="_mask"), mask_suffix="_mask")
    assert numpy.array_equal(masks(source)[3], values(3))


def spoil_sizes(root: Path) -> None:
    save(root / "masks/train/train2.png", numpy.zeros((9, 6), numpy.uint8))


def spoil_colour(root: Path) -> None:
    save(root / "masks/train/train2.png", palette(values(2)).convert("RGB"))


@pytest.mark.parametrize(
    ("spoil", "words", "place"),
    [
        (lambda root: (root / "masks/train/train2.png").unlink(), "image(s) without a mask", "images/train/train2.jpg"),
        (
            lambda root: (root / "images/train/train2.jpg").unlink(),
            "mask(s) for a missing image",
            "masks/train/train2.png",
        ),
        (spoil_sizes, "mask(s) of another size than their image", "train2.png is 6x9, images/train/train2.jpg 9x6"),
        (spoil_colour, "RGB mask(s) where ids are expected", "train2.png (values '0,0,0', '0,128,0', '128,0,0')"),
        (lambda root: (root / "masks/train/train2.png").write_bytes(b"x"), "that cannot be read", "train2.png"),
        (lambda root: (root / "images/train/train2.jpg").write_bytes(b"x"), "that cannot be read", "train2.jpg"),
    ],
)
def test_what_is_broken_or_unpaired_is_dropped_counted_and_named(make_source, make_masks, spoil, words, place):
    root = make_masks()
    spoil(root)
    source = make_source(root)
    splits = source.splits(seed=0)
    (note,) = splits.notes
    assert note.startswith("1 ")
    assert f"{words} dropped: " in note
    assert place in note
    assert [Path(splits.samples["train"].name(i)).stem for i in range(3)] == ["train0", "train1", "train3"]
    with pytest.raises(UserError, match=r"dataset 'masks': .*train2.*strict=false"):
        source.check(strict=True)


def test_an_index_mask_where_colours_are_expected_is_dropped_and_named(make_source, make_masks):
    root = make_masks(paint=lambda pixels: palette(pixels).convert("RGB"))
    save(root / "masks/train/train2.png", values(2))
    (note,) = make_source(root, class_map=COLOURS).splits(seed=0).notes
    assert note == "1 index mask(s) where colours are expected dropped: masks/train/train2.png (values 0, 1, 2)"


@pytest.mark.parametrize(
    ("paint", "changes", "message"),
    [
        (
            lambda v: palette(v).convert("RGB"),
            {},
            r"nothing is left of the 4 images of train: 4 RGB mask\(s\) where ids ",
        ),
        (
            lambda v: palette(v).convert("RGB"),
            {},
            r"Say what each colour means: 'dataset.class_map={0\\,0\\,0: background",
        ),
        (
            lambda v: v,
            {"class_map": COLOURS},
            r"4 index mask\(s\) where colours .* Say what each id means: 'dataset.cla",
        ),
        (
            lambda v: v[:3],
            {},
            r"nothing is left of the 4 images of train: 4 mask\(s\) of another size than their image",
        ),
    ],
)
def test_nothing_left_is_an_error_that_says_why(make_source, make_masks, paint, changes, message):
    with pytest.raises(UserError, match=message):
        make_source(make_masks(paint=paint), **changes).check()


def test_files_of_one_name_but_for_the_ending_are_told_apart(make_source, make_masks, save_image):
    root = make_masks()
    save_image(root / "images/train/train0.png", size=SIZE)
    assert make_source(root).splits(seed=0).notes == [
        "1 file(s) named like another but for the ending dropped: images/train/train0.png"
    ]


@pytest.mark.parametrize("what", ["images", "masks"])
def test_an_empty_folder_is_an_error(make_source, make_masks, what):
    root = make_masks()
    for file in (root / what / "val").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=rf"dataset.{what}: no {what} in '.*val'. Expected image files there"):
        make_source(root).check()


@pytest.mark.parametrize("what", ["images", "masks"])
def test_a_folder_that_is_missing_is_named(make_source, make_masks, what):
    root = make_masks()
    (root / what / "val").rename(root / "elsewhere")
    with pytest.raises(
        UserError, match=r"there is a folder '.*/val' in .*, but not one of images and one .* Expected val in both"
    ):
        make_source(root).check()
    (root / what).rename(root / "nowhere")
    with pytest.raises(
        UserError, match=rf"dataset.{what}: no folder of {what} in '.*Say where they are: dataset.{what}"
    ):
        make_source(root).check()


def test_splits_without_train_are_an_error(make_source, make_masks):
    with pytest.raises(UserError, match=r"images' has val and test, but no train"):
        make_source(make_masks({"val": 2, "test": 2})).check()


def test_checking_needs_no_torch(make_masks):
    import json
    import subprocess
    import sys

    settings = json.dumps({"type": "masks", "root": str(make_masks()), "image_size": 32})
    code = (
        "import json, sys; from visionkit.data.sources import read_source\n"
        f"read_source(json.loads({settings!r})).check()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_the_pixels_of_each_class_are_counted_in_the_training_masks(make_source, make_masks):
    source = make_source(make_masks(among=(0, 1, 2, 255)), ignore=255)
    module = VisionDataModule(source, target="mask", batch_reader=SegmentationBatchReader, batch_size=2, seed=0)
    everything = numpy.concatenate([values(index, (0, 1, 2, 255)).ravel() for index in range(4)])
    assert module.class_counts().tolist() == [int((everything == value).sum()) for value in (0, 1, 2)]


def test_camvid_loads_with_eleven_classes_and_no_odd_entry(settings):
    if not CAMVID.is_dir():
        pytest.skip("../shared/data/camvid is absent")
    source = parse_source(settings("camvid", root=str(CAMVID)))
    splits = source.splits(seed=0, strict=True)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 367, "val": 101, "test": 233}
    assert splits.notes == []
    assert source.info().class_names[3::5] == ("road", "car")
    samples = splits.samples["test"]
    raw = numpy.array(Image.open(CAMVID / "masks" / "test" / f"{Path(samples.name(7)).stem}.png"))
    assert numpy.array_equal(samples.mask(7), numpy.where(raw == 11, 255, raw))


@pytest.mark.parametrize("augment", [{"horizontal_flip": {}}, {"scale_jitter": {}}, {"random_resized_crop": {}}])
def test_batches_are_the_same_from_memory_and_from_files_with_any_number_of_workers(make_source, make_masks, augment):
    root, made = make_masks({"train": 9, "val": 4}), []
    for cache_mb, num_workers in ((64, 0), (0, 0), (0, 2)):
        source = make_source(root, cache_mb=cache_mb, num_workers=num_workers, augment=augment)
        module = VisionDataModule(source, target="mask", batch_reader=SegmentationBatchReader, batch_size=4, seed=0)
        module.setup("fit")
        made.append([*module.train_dataloader(), *module.val_dataloader()])
    assert sum(len(batch["index"]) for batch in made[0]) == 12
    assert "truth_mask" in made[0][-1]
    for other in made[1:]:
        for one, two in zip(made[0], other, strict=True):
            assert set(one) == set(two)
            assert all(torch.equal(one[key], two[key]) for key in one)


def test_folders_of_splits_go_by_any_usual_name_and_others_are_said(make_source, make_masks):
    root = make_masks({"train": 3, "val": 1, "test": 1, "extra": 1})
    for base, names in (("images", ("Training", "Valid", "TEST")), ("masks", ("training", "validation", "testing"))):
        for old, new in zip(("train", "val", "test"), names, strict=True):
            (root / base / old).rename(root / base / new)
    splits = make_source(root).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 3, "val": 1, "test": 1}
    assert splits.notes == ["2 folder(s) beside the splits that are none left out: images/extra, masks/extra"]


def test_files_of_unknown_endings_beside_the_images_are_said(make_source, make_masks):
    root = make_masks({"train": 3, "val": 2})
    for file in ("images/train/photo.heic", "images/val/photo.HEIC", "masks/val/photo.psd"):
        (root / file).write_bytes(b"x")
    (note,) = make_source(root).splits(seed=0).notes
    assert note == "3 file(s) of an ending that is not read left out: 2 .heic, 1 .psd"


def test_a_folder_without_an_image_that_is_read_says_what_it_holds(make_source, make_masks):
    root = make_masks({"": 2})
    for file in (root / "images").iterdir():
        file.rename(file.with_suffix(".heic"))
    with pytest.raises(
        UserError, match=r"no images in '.*images'. Expected image files there. 2 file.*: 2 .heic. Conv"
    ):
        make_source(root).check()


def test_a_folder_of_train_alone_has_val_held_out_and_no_test_split(make_source, make_masks):
    splits = make_source(make_masks({"train": 10})).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 8, "val": 2}
    assert splits.notes == ["val held out of train: 2 of 10"]


def test_reading_many_masks_is_announced_on_standard_error(make_source, make_masks, monkeypatch, capsys):
    monkeypatch.setattr("visionkit.data.sources.masks.pairs._MIN_SHOWN", 4)
    make_source(make_masks()).check()
    assert capsys.readouterr() == ("", "reading 4 masks of train ...\n")


@pytest.mark.parametrize(
    ("variables", "printed"),
    [
        ({"RANK": "x"}, "reading 4 masks of train ...\n"),
        ({"RANK": "1"}, "reading 4 masks of train ...\n"),
        ({"TORCHELASTIC_RUN_ID": "a", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, ""),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}, ""),
    ],
)
def test_only_the_first_of_several_processes_announces(
    make_source, make_masks, monkeypatch, capsys, variables, printed
):
    monkeypatch.setattr("visionkit.data.sources.masks.pairs._MIN_SHOWN", 4)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    make_source(make_masks()).check()
    assert capsys.readouterr().err == printed


def test_folders_of_splits_beside_those_of_all_images_and_masks_are_said(make_source, make_masks):
    root = make_masks({"": 8})
    make_masks({"": 2}, images="val/images", masks="val/masks")
    splits = make_source(root).splits(seed=0)
    assert splits.notes[0] == "1 folder(s) named after splits beside those of all images and masks left out: val"
    assert sum(map(len, splits.samples.values())) == 8


def test_images_beside_the_folders_of_splits_are_said(make_source, make_masks, save_image):
    root = make_masks({"train": 3, "val": 2})
    save_image(root / "images" / "loose.jpg")
    (note,) = make_source(root).splits(seed=0).notes
    assert note == "1 image(s) beside the folders of splits left out: images/loose.jpg"
