"""The memory that is free, by the files in which Linux says so."""

import os

import pytest

from visionkit.data import memory
from visionkit.data.image_error import ImageError
from visionkit.data.memory import available_memory, check_memory

GIB = 2**30
MEMINFO = f"MemTotal:  {32 * GIB // 1024} kB\nMemFree:  1024 kB\nMemAvailable:  {8 * GIB // 1024} kB\n"


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes the files of a system."""
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")

    def write(meminfo=MEMINFO, **files):
        (tmp_path / "meminfo").write_text(meminfo)
        for name, text in files.items():
            file = tmp_path / "cgroup" / name.replace("__", "/").replace("memory_", "memory.")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


def test_of_a_machine_what_can_be_taken_without_swapping_is_free(system):
    system()
    assert available_memory() == 8 * GIB


def test_where_the_machine_says_nothing_half_of_it_is_counted_on(system):
    system(meminfo="")
    assert available_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def test_a_container_has_what_is_left_of_its_limit_and_the_cache_of_files_that_it_has_read(system):
    stat = f"anon {GIB}\nfile {2 * GIB}\ninactive_file {2 * GIB}\nactive_file 7\n"
    system(memory_max=f"{4 * GIB}\n", memory_current=f"{3 * GIB}\n", memory_stat=stat)
    assert available_memory() == 3 * GIB


def test_without_its_statistics_all_that_a_container_uses_counts(system):
    system(memory_max=f"{4 * GIB}\n", memory_current=f"{3 * GIB}\n")
    assert available_memory() == GIB


def test_a_container_has_no_more_than_its_machine_and_never_less_than_nothing(system):
    system(memory_max=f"{64 * GIB}", memory_current="5")
    assert available_memory() == 8 * GIB
    system(memory_max="100", memory_current="500")
    assert available_memory() == 0


def test_a_container_without_a_limit_has_what_its_machine_has(system):
    system(memory_max="max\n", memory_current=f"{3 * GIB}\n")
    assert available_memory() == 8 * GIB


def test_the_first_version_of_control_groups_is_read_too(system):
    stat = f"inactive_file 5\ntotal_inactive_file {GIB}\n"
    system(
        memory__memory_limit_in_bytes=f"{4 * GIB}\n",
        memory__memory_usage_in_bytes=f"{3 * GIB}\n",
        memory__memory_stat=stat,
    )
    assert available_memory() == 2 * GIB


def test_an_image_is_refused_where_the_memory_does_not_suffice(system):
    system()
    check_memory("a.tif", (3, 4), 8 * GIB)
    with pytest.raises(ImageError, match=r"'a.tif' has 4 x 3 pixels, and decoding it takes 8.0 GiB of memory, of"):
        check_memory("a.tif", (3, 4), 8 * GIB + 1)
