"""Runs that answer, loaded once, and images that people send."""

import struct
import zlib

import pytest
from PIL import Image

import visionkit as vk
from visionkit.serving.uploads import UploadLimits, UploadPredictor

LIMITS = UploadLimits(max_bytes=100_000, max_pixels=1_000_000)


@pytest.fixture(scope="session")
def services(shared_runs):
    """The `UploadPredictor` of each task's run."""
    loaded = {}

    def load(task):
        if task not in loaded:
            loaded[task] = UploadPredictor(vk.load(shared_runs.of(task)), LIMITS, run=f"runs/{task}")
        return loaded[task]

    return load


@pytest.fixture
def photo(tmp_path):
    """A picture with a slope of grey."""
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((70, 50)).convert("RGB").save(path)
    return path


def write_png(path, width, height, pixels):
    """A grey PNG file whose header says a size, whatever pixels (bytes) follow."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(pixels, 1))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))
    return path


@pytest.fixture
def huge(tmp_path):
    """400 million pixels, as its header says."""
    return write_png(tmp_path / "huge.png", 20_000, 20_000, bytes(1000))
