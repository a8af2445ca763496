"""Helpers for tests of the data room: settings from conf/dataset, tiny images, tiny MNIST and CIFAR files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy
import pytest
from PIL import Image

from visionkit.config_files import read_group_file


@pytest.fixture
def settings() -> Callable[..., dict[str, Any]]:
    """The mapping of conf/dataset/NAME.yaml with some keys changed."""

    def read(name: str, **changes: Any) -> dict[str, Any]:
        return {**read_group_file("dataset", name), **changes}

    return read


@pytest.fixture
def save_image() -> Callable[..., Path]:
    """Write a random image, seeded by a number and by its path, so that no two files are the same."""

    def save(path: Path, *, size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> Path:
        height, width = size
        channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
        random = numpy.random.RandomState([seed, crc32("/".join(path.parts[-3:]).encode(errors="surrogateescape"))])
        pixels = random.randint(0, 256, (height, width, *channels)).astype(numpy.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.fixture
def make_tree(tmp_path: Path, save_image: Callable[..., Path]) -> Callable[..., Path]:
    """A folder with a sub-folder per class: ``make_tree({"train/cat": 3, "train/dog": 2})``."""

    def make(counts: dict[str, int], *, size: tuple[int, int] = (8, 8), name: str = "pictures") -> Path:
        root = tmp_path / name
        for number, (folder, count) in enumerate(counts.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                save_image(root / folder / f"{index:03}.png", size=size, seed=1000 * number + index)
        return root

    return make


@pytest.fixture
def make_mnist(tmp_path: Path) -> Callable[..., Path]:
    """A root with idx files as torchvision wants them; the first pixel of an image is its number."""

    def make(train: int = 60, test: int = 20, folder: str = "MNIST") -> Path:
        raw = tmp_path / "store" / folder / "raw"
        raw.mkdir(parents=True)
        for prefix, count in (("train", train), ("t10k", test)):
            pixels = numpy.random.RandomState(count).randint(0, 256, (count, 28, 28)).astype(numpy.uint8)
            pixels[:, 0, 0] = numpy.arange(count) % 256
            labels = (numpy.arange(count) % 10).astype(numpy.uint8)
            header = struct.pack(">iiii", 2051, count, 28, 28)
            (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
            (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, count) + labels.tobytes())
        return tmp_path / "store"

    return make
