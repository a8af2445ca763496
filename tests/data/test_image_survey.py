"""The range of values of a data set, photos read unturned, and images that all readers see alike."""

import json
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from visionkit.data.cache import decode_originals, decode_prepared
from visionkit.data.collate.base import BatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.datamodule import VisionDataModule
from visionkit.data.dataset import FileDataset
from visionkit.data.image_survey import survey_images
from visionkit.data.images import ImageReader, load_image
from visionkit.data.sampler import BatchIndices
from visionkit.data.sources import parse_source
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.inference.classify import ClassifyInference


def survey(source, *, strict=False):
    return survey_images(source, source.splits(seed=0), strict=strict)


@pytest.fixture
def deep_root(tmp_path) -> Path:
    """Six images of 12 bits in each of two classes, dark and bright."""
    for name, low in (("dark", 100), ("bright", 300)):
        (tmp_path / "deep" / name).mkdir(parents=True)
        for index in range(6):
            values = numpy.random.RandomState(index).randint(low, low + 100, (8, 8)).astype(numpy.uint16)
            values[0, :2] = low, low + 100
            Image.fromarray(values).save(tmp_path / "deep" / name / f"{index}.png")
    return tmp_path / "deep"


def folder_source(settings, root, **changes):
    return parse_source(settings("folder", root=str(root), image_size=8, in_channels=1, cache_mb=1, **changes))


def test_the_range_of_deep_images_is_measured_over_train_and_said(settings, deep_root):
    splits = survey(folder_source(settings, deep_root))
    assert splits.value_range == (100, 400)
    assert splits.samples["test"].image(0).dtype == torch.float32
    assert splits.notes[-1].startswith(
        "8 training image(s) of those looked at have more than 8 bits or floats: 100 to 400 is"
    )
    assert [finding.code for finding in splits.findings] == ["value-range"]


def test_a_range_that_is_given_is_taken(settings, deep_root):
    splits = survey(folder_source(settings, deep_root, value_range=[0, 4095]))
    assert splits.value_range == (0, 4095)
    assert not splits.findings
    assert float(splits.samples["train"].image(0).max()) <= 400 * 255 / 4095 + 1e-4


def test_images_of_eight_bits_have_no_range(settings, make_tree):
    splits = survey(folder_source(settings, make_tree({"a": 6, "b": 6})))
    assert splits.value_range is None
    assert splits.samples["train"].dtype == torch.uint8


def test_a_range_upside_down_says_what_to_type(settings, deep_root):
    with pytest.raises(UserError, match=r"dataset.value_range: expected \[low, high\].*found \[5.0, 1.0\]"):
        folder_source(settings, deep_root, value_range=[5, 1])


def test_the_range_of_a_run_replaces_that_of_the_data(settings, deep_root):
    source = folder_source(settings, deep_root).with_value_range([0, 800])
    assert survey(source).value_range == (0, 800)
    assert folder_source(settings, deep_root).with_value_range(None).value_range is None


@pytest.mark.parametrize("cache_mb", [0, 1])
@pytest.mark.parametrize("augment", [{}, {"color_jitter": {"brightness": 0.1}}, {"affine": {"degrees": 5}}])
def test_batches_of_deep_images_are_floats_of_0_to_255(settings, deep_root, cache_mb, augment):
    source = parse_source(
        settings(
            "folder", root=str(deep_root), image_size=8, in_channels=1, cache_mb=cache_mb, augment=augment,
            num_workers=0,
        )
    )  # fmt: skip
    datamodule = VisionDataModule(source, batch_size=4, seed=0)
    images = next(iter(datamodule.train_dataloader()))["images"]
    assert images.dtype == torch.float32
    assert 5 < float(images.max()) <= 255
    assert len(images.unique()) > 50
    assert next(iter(datamodule.val_dataloader()))["images"].dtype == torch.float32
    assert datamodule.value_range == (100, 400)


def test_changes_of_colour_do_to_floats_what_they_do_to_bytes():
    from visionkit.data.augment.image import Augment
    from visionkit.data.augment.parsing import parse_augments

    specs = parse_augments({"color_jitter": {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5}}, where="augment")
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seeds = numpy.array([1, 2], dtype=numpy.uint64)
    as_bytes, as_floats = (Augment(specs, (16, 16))(batch, seeds=seeds) for batch in (images, images.float()))
    assert as_floats.dtype == torch.float32
    assert float((as_bytes - as_floats).abs().max()) < 4  # bytes are rounded down after each of three steps
    assert float((images - as_floats).abs().mean()) > 4


def test_changes_of_colour_of_four_bands_are_refused(settings, tmp_path):
    with pytest.raises(UserError, match=r"color_jitter changes the colours.*Try: dataset.augment.color_jitter=null"):
        parse_source(settings("coco", root=str(tmp_path), in_channels=4))


def coco_of_turned_photos(root: Path, *, size: tuple[int, int]) -> Path:
    """Twelve photos of 8x6 stored pixels that EXIF turns; annotated at this width and height."""
    exif = Image.Exif()
    exif[0x0112] = 6
    root.mkdir()
    images, annotations = [], []
    for index in range(12):
        Image.new("RGB", (8, 6), (20 * index, 0, 0)).save(root / f"{index}.jpg", exif=exif)
        images.append({"id": index, "file_name": f"{index}.jpg", "width": size[0], "height": size[1]})
        annotations.append({"id": index, "image_id": index, "category_id": 1, "bbox": [1, 1, 4, 4]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    (root / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def test_photos_annotated_as_they_are_stored_are_read_unturned_and_said(settings, tmp_path):
    source = parse_source(settings("coco", root=str(coco_of_turned_photos(tmp_path / "c", size=(8, 6)))))
    splits = survey(source)
    assert splits.samples["train"].image(0).shape == (3, 6, 8)
    assert [(finding.code, finding.count) for finding in splits.findings] == [("image-turned", 12)]
    with pytest.raises(UserError, match=r"photo\(s\) turned by EXIF whose annotations are of the stored pixels"):
        survey(source, strict=True)


def test_photos_annotated_as_they_are_turned_are_read_so(settings, tmp_path):
    source = parse_source(settings("coco", root=str(coco_of_turned_photos(tmp_path / "c", size=(6, 8)))))
    splits = survey(source)
    assert splits.samples["train"].image(0).shape == (3, 8, 6)
    assert not splits.findings
    decoded = decode_originals(splits.samples["train"], budget=10**6, strict=True)
    assert decoded.images.shape == (8, 3, 8, 6)


def test_the_cache_and_sizes_of_unturned_photos_agree(settings, tmp_path):
    source = parse_source(settings("coco", root=str(coco_of_turned_photos(tmp_path / "c", size=(8, 6)))))
    samples = survey(source).samples["train"]
    decoded = decode_originals(samples, budget=10**6, strict=True, fit=InputTransform((16, 16), "letterbox"))
    assert decoded.sizes.tolist() == [[6, 8]] * 8
    assert decoded.images.shape == (8, 3, 12, 16)


def test_photos_of_neither_size_are_dropped_by_their_own_code(settings, tmp_path):
    source = parse_source(settings("coco", root=str(coco_of_turned_photos(tmp_path / "c", size=(8, 7)))))
    decoded = decode_originals(survey(source).samples["train"], budget=10**6, strict=False)
    assert {error.code for error in decoded.problems.values()} == {"size-differs"}


def test_a_mask_of_the_stored_size_has_its_photo_read_unturned(settings, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(8):
        Image.new("RGB", (8, 6), (20 * index, 0, 0)).save(tmp_path / "images" / f"{index}.jpg", exif=exif)
        Image.fromarray(numpy.arange(48, dtype=numpy.uint8).reshape(6, 8) % 2).save(tmp_path / "masks" / f"{index}.png")
    source = parse_source(settings("masks", root=str(tmp_path), image_size=16, augment={}, cache_mb=0, num_workers=0))
    datamodule = VisionDataModule(source, target="mask", batch_reader=SegmentationBatchReader, batch_size=2, seed=0)
    batch = next(iter(datamodule.val_dataloader()))
    assert batch["image_sizes"].tolist()[0] == [12, 16]
    assert batch["original_sizes"].tolist()[0] == [6, 8]
    assert any(note.startswith("8 photo(s) turned by EXIF") for note in datamodule.notes)


@pytest.mark.parametrize("mode", ["resize", "resize_crop", "letterbox", "pad"])
def test_training_evaluation_the_cache_and_prediction_see_the_same_bits(tmp_path, mode):
    for index, size in enumerate(((480, 640), (333, 501))):
        pixels = numpy.random.RandomState(index).randint(0, 256, (*size, 3)).astype(numpy.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.jpg")
    samples, transform = FileDataset(tmp_path, ["0.jpg", "1.jpg"], in_channels=3), InputTransform((64, 96), mode)
    read = BatchReader(samples, transform, training=True).read(BatchIndices(numpy.arange(2), numpy.arange(2)))["images"]
    cached = decode_prepared(samples, transform, budget=10**7, strict=True).images
    inference = ClassifyInference(torch.nn.Identity(), transform, {"in_channels": 3})
    predicted = [inference.prepare(inference.read(Path(samples.name(i)), ImageReader(3))) for i in range(2)]
    assert torch.equal(read, cached)
    assert torch.equal(read, torch.stack(predicted))
    whole = torch.stack([transform(load_image(samples.name(i))) for i in range(2)])
    assert not torch.equal(read, whole)  # decoded at a half: near, and not equal


def _turned_photo(path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours).save(path, exif=exif)


def _grey_and_alpha(path, colours):
    Image.merge("LA", [Image.fromarray(colours[..., k].copy()) for k in (0, 1)]).save(path)


FORMS = {  # ending, channels, and what writes colours (h, w, 3)
    "turned JPEG": ("jpg", 3, _turned_photo),
    "turned TIFF": ("tif", 3, _turned_photo),
    "16-bit TIFF": ("tif", 3, lambda path, c: Image.fromarray(c[..., 0].astype(numpy.uint16) * 199).save(path)),
    "four bands": ("tif", 4, lambda path, c: Image.frombytes(
        "RGBX", c.shape[1::-1], numpy.dstack([c, c[..., 1]]).tobytes()).save(path)),
    "palette": ("png", 3, lambda path, c: Image.fromarray(c).convert("P").save(path)),
    "grey and alpha": ("png", 1, _grey_and_alpha),
    "CMYK": ("jpg", 3, lambda path, c: Image.fromarray(c).convert("CMYK").save(path)),
    "array": ("npy", 3, lambda path, c: numpy.save(path, c)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_training_evaluation_and_prediction_see_the_same_bits_of_every_form(settings, tmp_path, form):
    ending, channels, write = FORMS[form]
    for name in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / name).mkdir(parents=True)
        for index in range(2):
            seed = sum(map(ord, f"{name}{index}"))
            coarse = numpy.random.RandomState(seed).randint(0, 256, (7, 9, 3)).astype(numpy.uint8)
            write(tmp_path / name / f"{index}.{ending}", numpy.kron(coarse, numpy.ones((40, 40, 1), numpy.uint8)))
    source = parse_source(settings("folder", root=str(tmp_path), image_size=[64, 96], in_channels=channels, augment={}))
    splits, transform = survey(source), source.input_transform()
    reader = source.image_reader(channels, value_range=splits.value_range)
    inference = ClassifyInference(torch.nn.Identity(), transform, {"in_channels": channels})
    for samples in splits.samples.values():
        count = numpy.arange(len(samples))
        read = BatchReader(samples, transform, training=True).read(BatchIndices(count, count))["images"]
        evaluated = BatchReader(samples, transform, training=False).read(BatchIndices(count, count))["images"]
        predicted = [inference.prepare(inference.read(Path(samples.name(i)), reader)) for i in count]
        assert torch.equal(read, evaluated)
        assert torch.equal(read, torch.stack(predicted))
        assert read.dtype == (torch.float32 if form == "16-bit TIFF" else torch.uint8)
        assert len(read.unique()) > 8  # neither black nor saturated


def test_dropped_images_are_named_by_what_is_wrong_with_them(settings, make_tree, save_image):
    root = make_tree({"a": 8, "b": 8})
    save_image(root / "a" / "huge.png", size=(40, 40))
    (root / "a" / "cut.png").write_bytes(b"no image")
    datamodule = VisionDataModule(
        parse_source(settings("folder", root=str(root), image_size=8, max_pixels=1000, test_fraction=0.0)),
        batch_size=2,
        seed=0,
    )
    datamodule.setup()
    notes = "\n".join(datamodule.notes)
    assert "1 image(s) of more pixels than dataset.max_pixels dropped: " in notes
    assert "1 unreadable image(s) of " in notes


def save_values(path: Path, values: numpy.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


@pytest.fixture
def make_depths(tmp_path):
    """Two classes of images in train and val, whose values ``make(split, index)`` gives."""

    def make(values):
        for split, first in (("train", 0), ("val", 10)):
            for index in range(first, first + 4):
                save_values(tmp_path / "d" / split / "ab"[index % 2] / f"{index}.tif", values(split, index))
        return tmp_path / "d"

    return make


def noise(index: int, high: int, dtype=numpy.uint16) -> numpy.ndarray:
    return numpy.random.RandomState(index).randint(0, high, (32, 32)).astype(dtype)


def codes(splits) -> list[tuple[str, int, dict[str, str]]]:
    return [(finding.code, finding.count, finding.values) for finding in splits.findings]


def test_a_val_split_of_more_bits_than_train_is_an_error_and_a_range_mends_it(settings, make_depths):
    root = make_depths(lambda split, index: noise(index, 256, numpy.uint8) if split == "train" else noise(index, 4096))
    with pytest.raises(UserError, match=r"4 image\(s\) of val .* more than 8 bits or floats.*dataset.value_range=\["):
        survey(folder_source(settings, root))
    val = survey(folder_source(settings, root, value_range=[0, 4095])).samples["val"]
    assert val.image(0).unique().numel() > 200


def test_eight_bits_beside_deeper_images_are_said_for_each_split(settings, make_depths):
    def values(split, index):
        return noise(index, 256, numpy.uint8) if split == "val" or index == 1 else noise(index, 4096)

    found = codes(survey(folder_source(settings, make_depths(values))))
    assert found[1:] == [("depth-mixed", 1, {"split": "train"}), ("depth-mixed", 4, {"split": "val"})]


def test_values_of_val_beyond_those_of_train_are_said(settings, make_depths):
    found = codes(
        survey(
            folder_source(settings, make_depths(lambda split, index: noise(index, 4000 if split == "val" else 1000)))
        )
    )
    assert [(code, count) for code, count, _ in found] == [("value-range", 4), ("values-clipped", 4)]


@pytest.mark.parametrize(
    ("odd", "num_images"), [((-9999, slice(0, 3)), 4), ((-9999, slice(0, 1)), 4), ((65_535, (0, 0)), 1)]
)
def test_pixels_without_data_and_broken_ones_put_the_range_in_doubt(settings, make_depths, odd, num_images):
    def values(split, index):
        pixels = noise(index, 400).astype(numpy.float32)
        if num_images == 4 or index == 0:
            pixels[odd[1]] = odd[0]
        return pixels

    splits = survey(folder_source(settings, make_depths(values)))
    (doubt,) = [finding for finding in splits.findings if finding.code == "value-range-doubtful"]
    assert doubt.count == num_images
    assert 0 <= float(doubt.values["first"]) < 5
    assert 395 < float(doubt.values["last"]) < 400
    assert f"dataset.value_range=[{doubt.values['first']}," in doubt.remedy


@pytest.mark.parametrize("values", [lambda split, i: noise(i, 4096), lambda split, i: noise(i, 2) * 65_535])
def test_a_range_that_its_pixels_fill_is_no_doubt(settings, make_depths, values):
    found = codes(survey(folder_source(settings, make_depths(values))))
    assert [code for code, _, _ in found] == ["value-range"]


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.fixture
def masked_photos(settings, tmp_path):
    """Eight photos, and masks whose first row is 1 as stored, with these orientations of EXIF."""

    def make(photo: int, mask: int, *, size=(8, 8), suffix="png"):
        labels = numpy.zeros(size, dtype=numpy.uint8)
        labels[0] = 1
        for index in range(8):
            pixels = numpy.full((*size, 3), 20 * index, dtype=numpy.uint8)
            pixels[0] = 255
            save_values(tmp_path / "images" / f"{index}.{suffix}", pixels, exif=turned(photo))
            save_values(tmp_path / "masks" / f"{index}.{suffix}", labels, exif=turned(mask))
        return survey(parse_source(settings("masks", root=str(tmp_path), image_size=16)))

    return make


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("size", [(8, 8), (6, 8)])
def test_masks_with_the_orientation_of_their_photos_lie_on_them(masked_photos, suffix, orientation, size):
    splits = masked_photos(orientation, orientation, size=size, suffix=suffix)
    assert not splits.findings
    samples = splits.samples["train"]
    assert torch.equal(samples.image(0)[0] == 255, samples.mask(0) == 1)


@pytest.mark.parametrize(("orientation", "size"), [(6, (8, 8)), (3, (6, 8)), (2, (6, 8))])
def test_masks_that_do_not_tell_whether_they_are_turned_are_said(masked_photos, orientation, size):
    assert codes(masked_photos(orientation, 1, size=size)) == [("image-orientation", 8, {})]


def test_photos_upside_down_with_boxes_are_said_with_or_without_a_declared_size(settings, tmp_path):
    for index in range(6):
        save_values(tmp_path / f"images/train/{index}.jpg", noise(index, 256, numpy.uint8), exif=turned(3))
        (tmp_path / "labels/train").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"labels/train/{index}.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [a]")
    splits = survey(parse_source(settings("yolo", root=str(tmp_path))))
    assert ("image-orientation", 6, {}) in codes(splits)
