"""Class masks: what is in them, and whether they lie on their images."""

import shutil

import numpy
import pytest
from PIL import Image

import visionkit as vk
from visionkit.checking.mask_checks import border_contrast

WORDS = (
    "dataset=masks", "backbone=resnet18", "dataset.image_size=64", "dataset.images=images", "dataset.masks=masks",
    "dataset.classes=[ground,disc,bar]",
)  # fmt: skip


def _scene(seed, size=96):
    """An image, and the classes of its pixels: a disc and a bar on the ground."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[:size, :size]
    mask = numpy.zeros((size, size), dtype=numpy.uint8)
    center = random.integers(24, size - 24, 2)
    mask[(x - center[0]) ** 2 + (y - center[1]) ** 2 < random.integers(12, 20) ** 2] = 1
    at = int(random.integers(4, size - 20))
    mask[at : at + 10, 5 : size - 5] = 2
    colours = random.integers(0, 255, (3, 3))
    colours[1:] = (colours[0] + [[90, 60, 120], [160, 130, 50]]) % 255
    image = colours[mask] + random.normal(0, 6, (size, size, 3))
    return Image.fromarray(image.clip(0, 255).astype(numpy.uint8)), Image.fromarray(mask)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    for split, count in (("train", 30), ("val", 24)):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            image, mask = _scene(number + 100 * (split == "val"))
            image.save(folder / "images" / split / f"{number:02d}.png")
            mask.save(folder / "masks" / split / f"{number:02d}.png")
    return folder


def _change(file, change):
    with Image.open(file) as mask:
        values = numpy.asarray(mask)
    Image.fromarray(change(values)).save(file)


FAULTS = {
    "mask-ignored": lambda values: numpy.full_like(values, 255),
    "mask-one-class": lambda values: numpy.zeros_like(values),
    "mask-misaligned": lambda values: numpy.roll(values, (30, 37), (0, 1)),
}


def _check(folder, *words, **options):
    return vk.check(*WORDS, *words, f"dataset.root={folder}", **options)


def test_clean_masks_have_no_fault(clean):
    report = _check(clean, deep=True)
    assert (report.counts["error"], report.counts["warning"]) == (0, 0), [f.note for f in report.findings]
    assert not any(report.of(code) for code in FAULTS)


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_of_a_mask_is_named_with_its_image(clean, tmp_path, code):
    folder = shutil.copytree(clean, tmp_path / "data")
    _change(folder / "masks" / "train" / "11.png", FAULTS[code])
    words = ("dataset.ignore=255",) if code == "mask-ignored" else ()
    report = _check(folder, *words, deep=True)
    found = report.of(code)
    assert found is not None, [f.note for f in report.findings]
    assert found.places == ("images/train/11.png",)
    assert _check(folder, *words).of(code) is None  # pixels are not looked at


def test_the_contrast_at_borders_is_that_of_the_picture_where_they_lie_on_its_edges():
    grey = numpy.zeros((20, 20), dtype=numpy.float32)
    grey[:, 10:] = 200
    mask = (grey > 0).astype(numpy.uint8)
    assert border_contrast(mask, grey) == pytest.approx(19.0)  # all of the gradient lies in one of 19 columns
    assert border_contrast(numpy.roll(mask, 4, axis=1), grey) < 1
    assert numpy.isnan(border_contrast(numpy.zeros_like(mask), grey))
