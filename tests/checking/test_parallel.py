"""Files that are looked at by several processes have the records that one process makes, in their order."""

import os

import numpy
import pytest
from PIL import Image

from visionkit.checking import parallel
from visionkit.checking.file_scan import scan_files


@pytest.mark.parametrize("cores", [1, 2])
def test_records_are_in_the_order_of_the_files_whoever_makes_them(tmp_path, monkeypatch, cores):
    paths = []
    for number in range(25):
        Image.new("L", (number + 1, 4)).save(tmp_path / f"{number}.png")
        paths.append(os.fsencode(tmp_path / f"{number}.png"))
    monkeypatch.setattr(parallel, "_FEW", 10)
    monkeypatch.setattr(parallel, "_CHUNK", 4)
    monkeypatch.setattr(parallel, "available_cores", lambda: cores)
    done = []
    found = parallel.look_at(paths, scan_files, advance=done.append)
    assert found["width"].tolist() == [number + 1 for number in range(25)]
    numpy.testing.assert_array_equal(found, scan_files(paths))
    assert sum(done) == 25


def test_of_no_files_there_is_no_record():
    assert len(parallel.look_at([], scan_files, advance=lambda count: None)) == 0
