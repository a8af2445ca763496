"""The memory that is free on this machine, or in its container, and images that do not fit into it."""

from __future__ import annotations

import os
from pathlib import Path

from visionkit.data.image_error import ImageError

__all__ = ["available_memory", "check_memory"]

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_FILES = (  # of version 2 and 1: folder, limit, what is used, and what memory.stat calls the cache of files
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory() -> int | None:
    """The bytes that can be taken without swapping: of the machine, or less where a container is limited.

    Half of the memory where the system does not say how much is free; None where it says nothing.
    """
    limits = [limit for limit in (_machine(), _container()) if limit is not None]
    return min(limits, default=None)


def check_memory(path: str | Path, size: tuple[int, int], needed: int, *, purpose: str = "decoding it") -> None:
    """Refuse an image for which the memory does not suffice.

    Args:
        path: Its file.
        size: Its height and width in pixels.
        needed: The bytes that are needed.
        purpose: What needs them.

    Raises:
        ImageError: If less is free.
    """
    free = available_memory()
    if free is None or needed <= free:
        return
    height, width = size
    raise ImageError(
        f"image '{path}' has {width:,} x {height:,} pixels, and {purpose} takes {_format(needed)} of memory, of which "
        f"{_format(free)} are free. Cut it into smaller images. For window=auto, which decodes a TIFF file part by "
        f"part, store it in strips or tiles: tiffcp -c lzw -r 64 IN OUT, or gdal_translate -co TILED=YES IN OUT",
        code="image-too-large",
    )


def _format(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**28 else f"{count / 2**20:,.0f} MiB"


def _machine() -> int | None:
    free = _entry(_MEMINFO, "MemAvailable:")
    if free is not None:
        return free * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _container() -> int | None:
    """What is left of the limit of a container; of the files that it has read, the kernel gives back the inactive."""
    for folder, limit_name, used_name, cache_name in _CGROUP_FILES:
        try:
            limit, used = (int((_CGROUP / folder / name).read_text()) for name in (limit_name, used_name))
        except (OSError, ValueError):  # there is none, or its limit is "max"
            continue
        cache = _entry(_CGROUP / folder / "memory.stat", cache_name) or 0
        return max(0, limit - max(0, used - cache))
    return None


def _entry(file: Path, name: str) -> int | None:
    """The number behind a name in a file of names and numbers."""
    try:
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] == [name]:
                return int(words[1])
    except (OSError, ValueError, IndexError):
        pass
    return None
