"""The memory that is free on this machine, or in its container, and images that do not fit into it."""

from __future__ import annotations

import os
from pathlib import Path

from visionkit.data.image_error import ImageError

__all__ = ["available_memory", "check_memory"]

_CGROUP = Path("/sys/fs/cgroup")


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
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _container() -> int | None:
    """What is left of the limit of a container (cgroup v2)."""
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None
