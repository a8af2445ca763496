"""Faults that are planted in a folder of classes are named by their code; the clean twin has none."""

import os
import shutil

import numpy
import pytest
from PIL import Image, ImageFilter

import visionkit as vk
from tests.checking.test_pixel_scan import picture

SPLITS = {"train": 24, "val": 12}
WORDS = ("dataset=folder", "backbone=resnet20", "dataset.image_size=64")


def _clean(folder):
    seed = 0
    for split, count in SPLITS.items():
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for _ in range(count):
                picture(seed, 60, 80).save(folder / split / name / f"{name}{seed}.jpg", quality=90)
                seed += 1
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return _clean(tmp_path_factory.mktemp("clean"))


def _first(folder, split="train", name="cat"):
    return sorted((folder / split / name).iterdir())[0]


def _append(file, data):
    file.write_bytes(file.read_bytes() + data)


def _save(file, change, **options):
    with Image.open(file) as image:
        image.load()
    change(image).save(file, **options)


def _overwrite(file):
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2] = b"\xff\x4c"
    file.write_bytes(data)


def _end_early(file):
    """What is left of a photo is followed by the mark of its end, as a repaired file has it."""
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 2 // 3] + b"\xff\xd9")


def _exif(file):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(file) as image:
        image.load()
    image.save(file, exif=exif)


def _burst(folder):
    for number, file in enumerate((_first(folder), _first(folder, "val"))):
        exif = Image.Exif()
        exif[0x0132] = f"2024:01:01 10:00:0{number}"
        with Image.open(file) as image:
            image.load()
        image.save(file, exif=exif)


def _films(folder):
    for split in SPLITS:
        for name in ("cat", "dog"):
            for number, file in enumerate(sorted((folder / split / name).iterdir())):
                file.rename(file.with_name(f"film{number % 4}_{file.stem[3:].zfill(4)}.jpg"))


def _copy(folder, change=lambda image: image, form="png"):
    with Image.open(_first(folder)) as image:
        change(image).save(folder / "val" / "cat" / f"copy.{form}")


def _to_class(folder, name, count):
    """Another class with so many images in train."""
    for split, number in (("train", count), ("val", 6)):
        (folder / split / name).mkdir()
        for seed in range(number):
            picture(5000 + seed + 500 * (split == "val"), 60, 80).save(folder / split / name / f"{split}{seed}.jpg")


FAULTS = {
    "file-empty": lambda f: _first(f).write_bytes(b""),
    "file-not-image": lambda f: _first(f).write_bytes(b"<html>no</html>" * 20),
    "file-truncated": lambda f: _first(f).write_bytes(_first(f).read_bytes()[:1500]),
    "file-trailing": lambda f: _append(_first(f), b"PK\3\4 and more" * 20),
    "file-header-broken": lambda f: _first(f).write_bytes(b"\xff\xd8\xff\xe0" * 30),
    "codec-missing": lambda f: (f / "train/cat/a.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 90),
    "suffix-differs": lambda f: _save(_first(f), lambda image: image, format="PNG"),
    "image-frames": lambda f: picture(900, 60, 80).save(
        f / "train/cat/a.gif", save_all=True, append_images=[picture(901, 60, 80)]
    ),
    "file-special": lambda f: (f / "train/cat/gone.jpg").symlink_to(f / "nowhere.jpg"),
    "link-loop": lambda f: (f / "train/cat/again").symlink_to(f / "train"),
    "system-files": lambda f: (f / "train/cat/Thumbs.db").write_bytes(b"x"),
    "names-case": lambda f: shutil.copy(_first(f), _first(f).with_name(_first(f).name.upper())),
    "name-unportable": lambda f: _first(f).rename(_first(f).with_name("what? a cat.jpg")),
    "stem-repeated": lambda f: picture(902, 60, 80).save(_first(f).with_suffix(".png")),
    "image-unread": lambda f: picture(903, 60, 80).save(f / "beside.jpg"),
    "image-exif": lambda f: _exif(_first(f)),
    "image-alpha": lambda f: picture(904, 60, 80).convert("RGBA").save(f / "train/cat/a.png"),
    "image-cmyk": lambda f: picture(905, 60, 80).convert("CMYK").save(f / "train/cat/a.jpg"),
    "image-palette": lambda f: picture(906, 60, 80).convert("P").save(f / "train/cat/a.png"),
    "depths-mixed": lambda f: Image.fromarray(
        numpy.asarray(picture(907, 60, 80).convert("L")).astype(numpy.uint16) * 200
    ).save(f / "train/cat/a.png"),
    "aspect-odd": lambda f: picture(908, 30, 600).save(f / "train/cat/a.jpg"),
    "size-odd": lambda f: picture(909, 900, 1200).save(f / "train/cat/a.jpg"),
    "image-tiny": lambda f: picture(910, 3, 4).save(f / "train/cat/a.png"),
    "class-not-in-split": lambda f: shutil.copytree(f / "train/cat", f / "train/eel"),
    "class-rare": lambda f: _to_class(f, "eel", 4),
    "classes-unequal": lambda f: [file.unlink() for file in sorted((f / "train/cat").iterdir())[1:]],
    "split-shift": lambda f: (
        [file.unlink() for file in sorted((f / "val/cat").iterdir())[1:]],
        [picture(7000 + i, 60, 80).save(f / f"val/dog/more{i}.jpg") for i in range(40)],
        [picture(8000 + i, 60, 80).save(f / f"train/cat/more{i}.jpg") for i in range(40)],
    ),
    "bursts-across": _burst,
    "groups-across": _films,
    "splits-overlap": lambda f: shutil.copy(_first(f), f / "val/cat/copy.jpg"),
    "image-two-classes": lambda f: shutil.copy(_first(f), f / "train/dog/copy.jpg"),
}
DEEP_FAULTS = {
    "pixels-unreadable": lambda f: _overwrite(_first(f)),
    "pixels-broken": lambda f: _end_early(_first(f)),
    "image-constant": lambda f: Image.new("RGB", (80, 60), (90, 20, 20)).save(f / "train/cat/a.png"),
    "image-dark": lambda f: _save(_first(f), lambda image: image.point(lambda value: value // 16)),
    "image-bright": lambda f: _save(_first(f), lambda image: image.point(lambda value: 255 - value // 16)),
    "image-blurred": lambda f: _save(_first(f), lambda image: image.filter(ImageFilter.GaussianBlur(6))),
    "image-plain": lambda f: _save(_first(f), lambda image: image.point(lambda value: 100 + value // 40)),
    "colours-mixed": lambda f: _save(_first(f), lambda image: image.convert("L")),
    "twins-across": lambda f: _copy(f),
    "near-twins-across": lambda f: _copy(f, lambda image: image.resize((60, 45)), "jpg"),
    "changed-twins-across": lambda f: _copy(f, lambda image: image.transpose(0), "jpg"),
    "twins": lambda f: _save(_first(f), lambda image: image, format="PNG") or _twin(f, lambda image: image),
    "changed-twins": lambda f: _twin(f, lambda image: image.transpose(0)),
    "twins-two-labels": lambda f: _twin(f, lambda image: image, name="dog"),
}


def _twin(folder, change, name="cat"):
    with Image.open(_first(folder)) as image:
        change(image.convert("RGB")).save(folder / "train" / name / "zzz.png")


def _state(folder):
    return {
        str(file.relative_to(folder)): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def _check(folder, **options):
    return vk.check(*WORDS, f"dataset.root={folder}", **options)


@pytest.mark.parametrize("deep", [False, True])
def test_a_clean_folder_has_no_error_and_no_warning(clean, deep):
    before = _state(clean)
    report = _check(clean, deep=deep)
    assert (report.counts["error"], report.counts["warning"]) == (0, 0)
    assert {finding.code for finding in report.findings} <= {"split-small"}
    assert report.summary["splits"]["train"]["per_class"] == [24, 24]
    assert _state(clean) == before


@pytest.mark.parametrize("code", [*FAULTS, *DEEP_FAULTS])
def test_a_planted_fault_is_named(clean, tmp_path, code):
    folder = shutil.copytree(clean, tmp_path / "data")
    (FAULTS | DEEP_FAULTS)[code](folder)
    before = _state(folder)
    report = _check(folder, deep=code in DEEP_FAULTS)
    found = report.of(code)
    assert found is not None, [finding.code for finding in report.findings]
    assert found.count >= 1
    assert found.remedy_for(report.keys)
    assert _state(folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(clean, tmp_path):
    folder = shutil.copytree(clean, tmp_path / "data")
    _first(folder).chmod(0)
    assert _check(folder).of("file-denied").count == 1


def test_detail_that_is_lost_is_told_with_its_factor(clean):
    report = vk.check("dataset=folder", "backbone=resnet20", "dataset.image_size=12", f"dataset.root={clean}")
    assert "5.0 times fewer pixels" in report.of("detail-lost").text


def test_a_data_set_that_cannot_be_trained_on_is_looked_at_all_the_same(clean, tmp_path):
    folder = shutil.copytree(clean / "train", tmp_path / "data" / "train").parent
    shutil.rmtree(folder / "train" / "dog")
    _first(folder).write_bytes(b"")
    report = _check(folder)
    assert report.exit_code == 2
    assert "1 class folder" in report.of("data-set-refused").text
    assert report.of("file-empty").places == (f"train/cat/{_first(folder).name}",)
