"""The search for the size of a batch, on a device that is a number: its free memory."""

import weakref
from dataclasses import replace

import pytest
import torch

from visionkit.training.finders import batch_search
from visionkit.training.finders.batch_search import (
    StepCost,
    attempt,
    fastest_enough,
    is_out_of_memory,
    search_memory,
    search_speed,
)


@pytest.fixture
def no_garbage(monkeypatch):
    """Without the collector, which takes longer than the search."""
    monkeypatch.setattr(batch_search.gc, "collect", lambda: 0)


class Device:
    """Fits so many images; asked for more it raises as torch does."""

    def __init__(self, capacity, *, bytes_per_image=1):
        self.capacity, self.bytes_per_image = capacity, bytes_per_image
        self.asked = []

    def measure(self, size):
        self.asked.append(size)
        if size > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return StepCost(size, 0.01 * size, size * self.bytes_per_image)


def largest(costs):
    return max((cost.size for cost in costs if cost.seconds is not None), default=0)


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("first", [1, 8, 64, 4096])
@pytest.mark.parametrize("capacity", [1, 2, 3, 7, 24, 100, 511, 512, 5000])
def test_what_is_found_fits_and_an_eighth_more_does_not_whatever_the_guess(capacity, first):
    device = Device(capacity)
    found = largest(search_memory(device.measure, first=first, upper=10_000))
    assert 7 * capacity / 8 - 1 <= found <= capacity
    assert len(device.asked) == len(set(device.asked)) <= 18


def test_no_size_above_the_largest_that_makes_sense_is_tried():
    device = Device(10_000)
    assert largest(search_memory(device.measure, first=64, upper=300)) == 300
    assert max(device.asked) == 300


def test_larger_sizes_are_multiples_of_eight():
    found = largest(search_memory(Device(203).measure, first=64, upper=1000))
    assert (found, found % 8) == (192, 0)


def test_a_size_that_fits_but_leaves_too_little_free_counts_as_one_that_does_not():
    device = Device(1000, bytes_per_image=10)
    found = largest(search_memory(device.measure, first=8, upper=1000, limit=640))
    assert found == 64


def test_where_not_even_one_image_fits_nothing_is_found():
    costs = search_memory(Device(0).measure, first=16, upper=64)
    assert [cost.size for cost in costs] == [16, 8, 4, 2, 1]
    assert largest(costs) == 0


def test_what_a_failed_attempt_held_is_free_before_the_next_one():
    held = []

    def measure(size):
        tensor = torch.zeros(size)
        held.append(weakref.ref(tensor))
        cycle = [tensor]
        cycle.append(cycle)
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert attempt(measure, 4).seconds is None
    assert held[0]() is None


def test_other_errors_are_not_taken_for_a_want_of_memory():
    def measure(size):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        attempt(measure, 4)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to ..."
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
)
def test_every_device_has_its_own_word_for_too_little_memory(error):
    assert is_out_of_memory(error)


def test_the_cpu_allocator_says_so_when_it_is_asked_for_too_much():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


def speeds(*images_per_second):
    """Costs of sizes 1, 2, 4 ... with these speeds, and the sizes that were asked for."""
    asked = []

    def measure(size):
        asked.append(size)
        return StepCost(size, size / images_per_second[size.bit_length() - 1])

    return measure, asked


def test_two_sizes_without_more_images_per_second_end_the_search():
    measure, asked = speeds(10, 20, 30, 30.5, 30.6, 99)
    search_speed(measure, [1, 2, 4, 8, 16, 32])
    assert asked == [1, 2, 4, 8, 16]


def test_one_slow_size_does_not():
    measure, asked = speeds(10, 20, 15, 40, 39, 39)
    costs = search_speed(measure, [1, 2, 4, 8, 16, 32])
    assert asked == [1, 2, 4, 8, 16, 32]
    assert fastest_enough(costs).size == 8


def test_the_smallest_with_95_percent_of_the_most_is_enough():
    costs = [StepCost(size, size / speed) for size, speed in ((4, 94.9), (8, 95.1), (16, 100.0), (32, 99.0))]
    assert fastest_enough(costs).size == 8
    assert fastest_enough([StepCost(4, None)]) is None


def test_a_size_that_does_not_fit_ends_the_search_by_speed():
    device = Device(4)

    def measure(size):
        return replace(device.measure(size), seconds=0.1)

    costs = search_speed(measure, [1, 2, 4, 8, 16])
    assert (device.asked, largest(costs)) == ([1, 2, 4, 8], 4)
