"""Reading costs no more, beside other libraries, than the benchmarks of `tools` are to show: smaller, in CPU time."""

import contextlib
import gc
import statistics
import sys
import tracemalloc

import pytest

from tests.helpers.paths import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    """Imports a benchmark of `tools` by its name."""
    sys.path.insert(0, str(REPOSITORY / "tools"))
    try:
        yield __import__
    finally:
        sys.path.remove(str(REPOSITORY / "tools"))


def cpu_ratio(bench, ours, theirs):
    """The median ratio of the CPU time of this process, over three rounds in turns."""
    return statistics.median(a[1] / b[1] for a, b in bench("paired_bench").time_pair(ours, theirs, rounds=3, seconds=0))


@pytest.mark.parametrize("size", ["640x480", "1280x960"])
def test_photos_are_read_within_the_limits_beside_other_decoders(bench, tmp_path, size):
    photos = bench("bench_data")
    paths = photos.make_photos(tmp_path / "photos", photos.PHOTOS[size][0], 2, 85)
    for library, theirs in photos.THEIRS.items():
        ratio = cpu_ratio(
            bench,
            lambda: [photos.ours(path) for path in paths * 2],
            lambda theirs=theirs: [theirs(path) for path in paths * 2],
        )
        assert ratio < photos.LIMITS[size, library]
        assert photos.labels(size, library, 0, paths)["difference"] < 2


def test_a_folder_is_listed_in_the_memory_that_is_allowed(bench, tmp_path, monkeypatch):
    scan = bench("bench_scan")
    monkeypatch.setattr(scan, "CLASSES", 40)
    scan.make_files(tmp_path, 8_000)
    scan.read_splits(tmp_path)
    gc.collect()
    tracemalloc.start()
    splits = scan.read_splits(tmp_path)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]  # arrays of bytes, which workers share: nothing is kept for each process
    tracemalloc.stop()
    assert kept < 200 * sum(map(len, splits.samples.values()))


@pytest.mark.parametrize(("with_masks", "limit"), [(False, 1.0), (True, 1.1)])  # with outlines 0.9 to 1.0 is measured
def test_annotations_are_read_in_the_time_of_pycocotools(bench, tmp_path, with_masks, limit):
    annotations = bench("bench_annotations")
    annotations.make_annotations(tmp_path / "a.json", 500)
    for index in range(500):
        (tmp_path / f"{index:012}.jpg").touch()

    def ours():
        annotations.coco_reader._read_file.cache_clear()
        annotations.coco_reader.read_coco(
            tmp_path, {"train": (tmp_path / "a.json", "", [])}, with_masks=with_masks, max_pixels=10**8
        )

    def theirs():
        with contextlib.redirect_stdout(None):
            annotations.COCO(str(tmp_path / "a.json"))

    assert cpu_ratio(bench, ours, theirs) < limit
