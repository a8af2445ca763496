"""What masks hold is kept between starts, and never taken for that of a file that has changed."""

import os

import numpy
import pytest
from PIL import Image

from visionkit.data import mask_cache
from visionkit.data.image_error import ImageError
from visionkit.data.mask_cache import MaskCache
from visionkit.data.mask_contents import read_contents


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of three masks, whose contents are kept at once and in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mask_cache, "_MIN_MASKS", 1)
    monkeypatch.setattr(mask_cache, "_SETTLED_NS", -1)
    root = tmp_path / "masks"
    root.mkdir()
    for number in range(2):
        pixels = numpy.random.RandomState(number).randint(0, 4, (6, 8 + number)).astype(numpy.uint8)
        Image.fromarray(pixels).save(root / f"{number}.png")
    indexed = Image.fromarray(pixels).convert("P")
    indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    indexed.save(root / "p.png")
    return root


@pytest.fixture
def decoded(monkeypatch):
    """The names of the masks that were decoded."""
    names = []

    def read(path, **options):
        names.append(path.name)
        return read_contents(path, **options)

    monkeypatch.setattr(mask_cache, "read_contents", read)
    return names


NAMES = ("0.png", "1.png", "p.png")


def start(folder, *, coloured=False, names=NAMES, max_pixels=10_000):
    """The contents of all masks as one start reads them."""
    with MaskCache(folder, coloured=coloured) as cache:
        contents = [cache.read(name, max_pixels=max_pixels) for name in names]
    return list(map(plain, contents))


def plain(contents):
    columns = (contents.counts.values, contents.counts.pixels, contents.counts.solid, contents.palette)
    lists = tuple(None if column is None else column.tolist() for column in columns)
    return contents.size, contents.is_coloured, contents.is_lossy, *lists


def fresh(folder, *, coloured=False):
    return [plain(read_contents(folder / name, coloured=coloured)) for name in NAMES]


def cache_files(folder):
    return sorted((folder.parent / "cache/visionkit/masks").iterdir())


@pytest.mark.parametrize("coloured", [False, True])
def test_a_second_start_decodes_nothing_and_finds_the_same(folder, decoded, coloured):
    first = start(folder, coloured=coloured)
    assert decoded == list(NAMES)
    assert start(folder, coloured=coloured) == first == fresh(folder, coloured=coloured)
    assert decoded == list(NAMES)


def test_ids_and_colours_are_kept_apart(folder):
    start(folder)
    assert start(folder, coloured=True) == fresh(folder, coloured=True) != fresh(folder)


@pytest.mark.parametrize("way", ["in place", "replaced", "same times"])
def test_a_mask_that_changed_is_decoded_again(folder, decoded, way):
    start(folder)
    file = folder / "0.png"
    before = file.stat()
    new = folder / "new.png" if way == "replaced" else file
    Image.fromarray(numpy.full((6, 8), 3, numpy.uint8)).save(new)
    new.replace(file)
    if way == "same times":
        with file.open("ab") as stream:  # of the same size too
            stream.write(bytes(max(0, before.st_size - file.stat().st_size)))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    decoded.clear()
    found = start(folder)
    assert (found, decoded) == (fresh(folder), ["0.png"])
    assert found[0][3] == [3]


def test_a_mask_that_changed_just_now_is_not_kept(folder, decoded, monkeypatch):
    monkeypatch.setattr(mask_cache, "_SETTLED_NS", 3_600_000_000_000)
    start(folder)
    start(folder)
    assert decoded == [*NAMES, *NAMES]


def test_a_mask_of_too_many_values_is_not_kept(folder, decoded, monkeypatch):
    monkeypatch.setattr(mask_cache, "_MAX_VALUES", 3)
    Image.fromarray(numpy.zeros((4, 4), numpy.uint8)).save(folder / "0.png")
    start(folder)
    start(folder)
    assert decoded == [*NAMES, "1.png", "p.png"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" * 20])
def test_a_damaged_file_is_as_none(folder, decoded, content):
    start(folder)
    (file,) = cache_files(folder)
    file.write_bytes(content)
    assert start(folder) == fresh(folder)
    assert decoded == [*NAMES, *NAMES]
    decoded.clear()
    start(folder)
    assert decoded == []


def test_a_file_with_a_flipped_bit_is_as_none(folder):
    start(folder)
    (file,) = cache_files(folder)
    whole = file.read_bytes()
    for position in range(0, len(whole), 41):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert start(folder) == fresh(folder)


def test_the_limit_of_pixels_holds_for_what_is_kept(folder):
    start(folder)
    with pytest.raises(ImageError, match="more than"):
        start(folder, max_pixels=10)


def test_a_cache_folder_that_cannot_be_made_is_no_error(folder, decoded):
    (folder.parent / "cache").write_text("a file in the way")
    assert start(folder) == fresh(folder)


def test_a_small_set_leaves_no_file(folder, monkeypatch):
    monkeypatch.setattr(mask_cache, "_MIN_MASKS", 4)
    start(folder)
    assert not (folder.parent / "cache").exists()


def test_the_files_that_were_not_used_for_the_longest_time_are_removed(folder, monkeypatch):
    start(folder)
    (old,) = cache_files(folder)
    os.utime(old, (1, 1))
    monkeypatch.setattr(mask_cache, "_MAX_BYTES", int(1.5 * old.stat().st_size))
    start(folder, coloured=True)
    assert len(cache_files(folder)) == 1
    assert not old.exists()
