import time

import numpy
import pytest
from pycocotools import mask as coco

from visionkit.data.sources.coco import run_lengths

BITS = numpy.asfortranarray(numpy.random.RandomState(0).rand(30, 40) < 0.3).astype(numpy.uint8)
COMPRESSED = coco.encode(BITS)["counts"].decode()
SIZE = (30, 40)


def read_runs(entry, size, *, max_pixels=10**8):
    return run_lengths.read_runs(entry, size, max_pixels=max_pixels)


def encode(number: int) -> str:
    """One number as COCO compresses it, whatever its length."""
    text = ""
    while True:
        group, number = number & 31, number >> 5
        is_last = number == (-1 if group & 16 else 0)
        text += chr(48 + group + (0 if is_last else 32))
        if is_last:
            return text


def test_compressed_runs_are_those_of_pycocotools():
    for height, width, share in ((30, 40, 0.3), (200, 3, 0.001), (1, 1, 1), (700, 900, 0.0001)):
        bits = numpy.asfortranarray(numpy.random.RandomState(1).rand(height, width) < share).astype(numpy.uint8)
        entry = {"size": [height, width], "counts": coco.encode(bits)["counts"].decode()}
        runs, stated, problem = read_runs(entry, (height, width))
        assert (stated, problem) == ((height, width), "")
        assert coco.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width) == coco.encode(bits)


def test_numbers_are_coded_in_groups_of_five_bits():
    assert read_runs({"size": [30, 40], "counts": encode(1000) + encode(200)}, SIZE)[0].tolist() == [1000, 200]
    # from the fourth on, differences to the last but one
    text = "".join(map(encode, [100, 50, 500, 10, -10]))
    runs, _, _ = read_runs({"size": [30, 40], "counts": text}, SIZE)
    assert runs.tolist() == [100, 50, 500, 60, 490]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"size": SIZE, "counts": [2**63, 2**63, 1200]}, "rle-length"),
        ({"size": SIZE, "counts": [2**62] * 4 + [1200]}, "rle-length"),
        ({"size": SIZE, "counts": [10**400]}, "outline-no-number"),
        ({"size": SIZE, "counts": [1201, -1]}, "outline-no-number"),
        ({"size": SIZE, "counts": [float("inf")]}, "outline-no-number"),
        ({"size": SIZE, "counts": [float("nan"), 1200]}, "outline-no-number"),
        ({"size": SIZE, "counts": [1199.5, 0.5]}, "outline-no-number"),
        ({"size": SIZE, "counts": []}, "outline-no-number"),
        ({"size": SIZE, "counts": [[1200]]}, "outline-no-number"),
        ({"size": SIZE, "counts": ""}, "outline-no-number"),
        ({"size": SIZE, "counts": encode(1200 + 2**52)}, "rle-length"),
        ({"size": SIZE, "counts": encode(1200 + 2**64)}, "outline-no-number"),
        ({"size": SIZE, "counts": encode(1200) + encode(-(2**50))}, "outline-no-number"),
        ({"size": SIZE, "counts": "".join(map(encode, [0, 2**52] + [2**52] * 4096))}, "rle-length"),
        ({"size": [2**40, 2**40], "counts": [2**80]}, "rle-length"),
        ({"size": [-30, -40], "counts": [1200]}, "rle-length"),
        ({"size": [0, 0], "counts": [0]}, "rle-length"),
        ({"size": [float("nan"), 40], "counts": [1200]}, "outline-no-number"),
        ({"size": [10**400, 40], "counts": [1200]}, "outline-no-number"),
        ({"size": "30", "counts": [1200]}, "outline-no-number"),
        ({"size": [30, 40, 3], "counts": [1200]}, "outline-no-number"),
    ],
)
@pytest.mark.parametrize("size", [SIZE, (0, 0)])
def test_runs_that_no_image_has_are_refused(entry, problem, size):
    runs, stated, found = read_runs(entry, size)
    assert (runs, stated, found) == (None, (0, 0), problem)


def test_a_size_beyond_the_limit_of_pixels_is_not_believed():
    entry = {"size": SIZE, "counts": [1000, 200]}
    assert read_runs(entry, (0, 0), max_pixels=1200)[1:] == (SIZE, "")
    assert read_runs(entry, (0, 0), max_pixels=1199) == (None, (0, 0), "rle-length")


@pytest.mark.parametrize("character", ["o", "0", "O"])
def test_a_long_text_takes_time_in_proportion_to_its_length(character):
    start = time.process_time()
    assert read_runs({"size": SIZE, "counts": character * 300_000}, SIZE)[0] is None
    assert time.process_time() - start < 1  # a number of all of them would take minutes
