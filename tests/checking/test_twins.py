"""Twins that were planted are found, and nothing else."""

import os

import numpy
import pytest

from tests.checking.test_pixel_scan import picture
from visionkit.checking.pixel_scan import scan_pixels
from visionkit.checking.twins import KINDS, find_twins


def _changed(image, kind, random):
    if kind == "near":
        return image.resize((image.width * 3 // 4, image.height * 3 // 4))
    if kind == "mirrored":
        return image.transpose(0)
    width, height = (int(side * (1 - random.uniform(0.03, 0.08))) for side in image.size)
    left, top = (
        int(random.uniform(0, 1) * (side - part)) for side, part in zip(image.size, (width, height), strict=True)
    )
    return image.crop((left, top, left + width, top + height))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Records of 150 pictures and of 60 twins of the first of them, and the kind of each twin."""
    folder, random = tmp_path_factory.mktemp("twins"), numpy.random.default_rng(0)
    pictures = [picture(seed) for seed in range(150)]
    kinds = [("near", "mirrored", "cropped")[number % 3] for number in range(60)]
    twins = [_changed(pictures[number], kind, random) for number, kind in enumerate(kinds)]
    paths = []
    for number, image in enumerate([*pictures, *twins, pictures[100]]):
        paths.append(folder / f"{number}.{'jpg' if number < 210 else 'png'}")
        image.save(paths[-1], **({"quality": 80} if number < 210 else {}))
    return scan_pixels([os.fsencode(path) for path in paths], max_pixels=10**7), kinds


def test_planted_twins_are_found_and_no_others(planted):
    pixels, kinds = planted
    twins = find_twins(pixels)
    found = {(int(a), int(b)): KINDS[kind] for a, b, kind in zip(twins.first, twins.second, twins.kind, strict=True)}
    wanted = {(number, 150 + number): kind for number, kind in enumerate(kinds)} | {(100, 210): "same"}
    hits = [pair for pair in wanted if pair in found]
    assert len(hits) >= 0.95 * len(wanted)
    assert set(found) <= set(wanted)
    for kind in ("near", "mirrored", "cropped", "same"):
        named = [found[pair] in (kind, "same", "near") for pair in hits if wanted[pair] == kind]
        assert named.count(False) <= 1, kind


def test_pictures_of_one_colour_are_no_twins(tmp_path):
    from PIL import Image

    paths = []
    for number in range(4):
        paths.append(os.fsencode(tmp_path / f"{number}.png"))
        Image.new("RGB", (40, 40), (number, 100, 100)).save(os.fsdecode(paths[-1]))
    assert len(find_twins(scan_pixels(paths, max_pixels=10**6))) == 0


def test_of_very_many_pictures_those_of_alike_hashes_are_compared(planted, monkeypatch):
    from visionkit.checking import twins as module

    pixels, kinds = planted
    monkeypatch.setattr(module, "MAX_CROPPED", 10)
    twins = find_twins(pixels)
    found = {(int(a), int(b)) for a, b in zip(twins.first, twins.second, strict=True)}
    near = [(number, 150 + number) for number, kind in enumerate(kinds) if kind != "cropped"]
    assert sum(pair in found for pair in near) >= 0.9 * len(near)
