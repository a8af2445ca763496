import os
import pickle
from types import SimpleNamespace

import numpy
import pytest
import torch

from visionkit.data.shared_memory import SharedPickle
from visionkit.errors import UserError


def test_tensors_and_large_arrays_are_those_of_the_original_in_every_process():
    marks, names = torch.zeros(3, dtype=torch.uint8), numpy.array([b"%06d" % number for number in range(4000)])
    shared = SharedPickle({"marks": marks, "names": names, "few": numpy.arange(3)})
    one, other = shared.load(), shared.load()
    one["marks"][1] = 7
    one["names"][5] = b"said"
    assert marks.tolist() == other["marks"].tolist() == [0, 7, 0]
    assert marks.is_shared()
    assert other["names"].dtype == names.dtype
    assert other["names"][4:7].tolist() == [b"000004", b"said", b"000006"]
    assert one["few"].tolist() == [0, 1, 2]


def test_each_process_gets_a_few_bytes_for_a_large_array():
    shared = SharedPickle([torch.zeros(100_000), numpy.zeros((50_000, 2)), numpy.zeros((300, 300)).T])
    assert len(shared._pickled) < 300 * 300 * 8 + 1000  # what is not contiguous is pickled
    assert [tuple(value.shape) for value in shared.load()] == [(100_000,), (50_000, 2), (300, 300)]


def test_a_value_that_appears_twice_is_shared_once():
    array = numpy.zeros(10_000)
    one, other = SharedPickle((array, array)).load()
    one[3] = 5
    assert other[3] == 5


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(UserError, match=r"lambda.*Try: dataset.num_workers=0$"):
        SharedPickle([lambda: 0])


def test_too_little_shared_memory_is_said_before_the_system_kills_a_worker(monkeypatch):
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=1 << 20))
    assert pickle.dumps(SharedPickle(torch.zeros(1000)).load() + 1)
    with pytest.raises(UserError, match=r"share 8 MiB .* 1 MiB free.*--shm-size.*dataset.num_workers=0$"):
        SharedPickle(torch.zeros(1 << 21))
