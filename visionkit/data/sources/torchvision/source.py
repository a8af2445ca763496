"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, read by torchvision.datasets.

The validation split is a stratified random part of the training set, with a seed of its own.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.sources.base import DataInfo, Source, Splits
from visionkit.data.splitting import hold_out
from visionkit.errors import UserError
from visionkit.files import expand_user

if TYPE_CHECKING:
    from torch import Tensor

    from visionkit.data.transforms import InputTransform

__all__ = ["Cifar10", "Cifar100", "FashionMnist", "Mnist"]


@dataclass(frozen=True, kw_only=True)
class TorchvisionSource(Source):
    """A data set that torchvision downloads and reads.

    Attributes:
        root: The ``root`` of the torchvision data set, which holds the data set's folder.
        download: Whether missing files may be downloaded into ``root``.
        val_size: The number of training samples held out for validation.
        split_seed: The seed of this random split, not the run's, so that runs with different seeds are comparable.
        fit: How images are resized to ``image_size``, see `visionkit.data.transforms.InputTransform`.
        torchvision_class: The class in ``torchvision.datasets``.
        folder: The folder of the data set's files, relative to ``root``.
        files: The required files, relative to ``folder``.
        archive: The name of the downloaded archive, for messages; empty if there are single files.
        native: Height and width of the images, in pixels.
        in_channels: 1 for grey images, 3 for colour.
        class_names: One per class, in the order of the class ids.
    """

    root: str | None
    download: bool
    val_size: Annotated[int, Field(gt=0, le=10_000_000)]
    split_seed: Annotated[int, Field(ge=0, lt=2**32)]
    fit: Literal["pad", "resize"]

    torchvision_class: ClassVar[str]
    folder: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    archive: ClassVar[str] = ""
    native: ClassVar[tuple[int, int]]
    in_channels: ClassVar[int]
    class_names: ClassVar[tuple[str, ...]]

    def info(self) -> DataInfo:
        return self.describe(self.class_names, in_channels=self.in_channels)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, self.fit, native=self.native if self.fit == "pad" else None)

    def check(self, *, strict: bool = False) -> None:
        self.info()
        missing = self._missing_files()
        if not missing or self.download:
            return
        folder = self._folder_path
        archive_hint = f" (or {self.archive}, unpacked, in '{self._root}')" if self.archive else ""
        raise UserError(
            f"dataset '{self.name}' is not in '{self._root}': '{folder}' lacks {', '.join(missing)}{archive_hint}. "
            "Let it be downloaded: dataset.download=true. Or say where it is: dataset.root=path"
        )

    def prepare(self) -> None:
        if not self._missing_files() or not self.download:
            return
        from torchvision import datasets

        try:
            with contextlib.redirect_stdout(sys.stderr):
                getattr(datasets, self.torchvision_class)(str(self._root), download=True)
        except Exception as error:
            raise UserError(
                f"dataset '{self.name}' could not be downloaded into '{self._root}': {error}. Without a network, put "
                f"the files there by hand: '{self._folder_path}' must hold {', '.join(self.files)}"
                f"{f', unpacked from {self.archive}' if self.archive else ''}."
            ) from None

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        from visionkit.data.dataset import ImageDataset, TensorDataset

        if self._missing_files():
            self.check()
            self.prepare()
        images, labels = self._read(train=True)
        test_images, test_labels = self._read(train=False)
        if self.val_size >= len(labels):
            raise UserError(
                f"dataset.val_size: {self.val_size} of the {len(labels)} training samples of '{self.name}' cannot be "
                f"held out for validation. Try: dataset.val_size={max(1, len(labels) // 10)}"
            )
        import torch

        positions = hold_out(labels.numpy(), {"val": self.val_size}, seed=self.split_seed)
        samples: dict[str, ImageDataset] = {
            split: TensorDataset(images, labels, torch.from_numpy(positions[split]), prefix="train")
            for split in ("train", "val")
        }
        samples["test"] = TensorDataset(test_images, test_labels, torch.arange(len(test_labels)), prefix="test")
        return Splits(samples, notes=[f"validation held out of train: {len(samples['val'])} of {len(labels)}"])

    @property
    def _root(self) -> Path:
        if not self.root:
            raise UserError(
                f"dataset '{self.name}' needs a folder for its files, and dataset.root is not given. "
                "Try: dataset.root=data"
            )
        return expand_user(self.root)

    @property
    def _folder_path(self) -> Path:
        return self._root / self.folder

    def _missing_files(self) -> list[str]:
        if self._root.is_file():
            raise UserError(
                f"dataset.root: '{self.root}' is a file, not a folder. Expected the folder that holds "
                f"'{self.folder}'. Try: dataset.root=data"
            )
        paths = [self._folder_path / name for name in self.files]
        return [path.name for path in paths if not path.is_file() and not _packed(path).is_file()]

    def _read(self, *, train: bool) -> tuple[Tensor, Tensor]:
        """Images uint8 (N, C, H, W) and labels int64 (N,)."""
        import torch
        from torchvision import datasets

        try:
            if self._is_packed:
                images, labels = self._read_packed(self.files[:2] if train else self.files[2:])
            else:
                dataset = getattr(datasets, self.torchvision_class)(str(self._root), train=train)
                images = torch.as_tensor(dataset.data, dtype=torch.uint8)
                labels = torch.as_tensor(dataset.targets, dtype=torch.int64)
        except Exception as error:
            reason = str(error).replace(" You can use download=True to download it", "") or type(error).__name__
            raise UserError(
                f"dataset '{self.name}': the files in '{self._folder_path}' cannot be read: {reason}. Remove the "
                "folder and fetch it again: dataset.download=true"
            ) from None
        images = images[:, None] if self.in_channels == 1 else images.permute(0, 3, 1, 2)
        return images.contiguous(), labels

    @property
    def _is_packed(self) -> bool:
        """Whether some of the files are there with ``.gz`` alone, which torchvision would unpack beside them."""
        return any(not (self._folder_path / name).is_file() for name in self.files)

    def _read_packed(self, files: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Images uint8 (N, H, W) and labels int64 (N,) of two IDX files, packed or not."""
        import torch

        images, labels = (_read_idx(self._folder_path / name) for name in files)
        return images, labels.to(torch.int64)


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _read_idx(path: Path) -> Tensor:
    """An IDX file of bytes (LeCun et al. 1998): two zeros, the type 8, the number of sides, the sides, the values.

    Raises:
        ValueError: If it is none, or has other than as many values as its sides say, or too many.
    """
    import torch

    with path.open("rb") if path.is_file() else gzip.open(_packed(path)) as file:
        header = file.read(4)
        if header[:3] != b"\0\0\x08":
            raise ValueError(f"'{path.name}' is no IDX file of bytes")
        sides = struct.unpack(f">{header[3]}I", file.read(4 * header[3]))
        size = math.prod(sides)
        if size > _MAX_IDX_BYTES:
            raise ValueError(f"'{path.name}' is to have {size:,} values, and at most {_MAX_IDX_BYTES:,} are read")
        values: Tensor = torch.frombuffer(bytearray(file.read(size + 1)), dtype=torch.uint8)
    return values.view(sides)


_MAX_IDX_BYTES = 1 << 30  # twenty times those of MNIST

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True, kw_only=True)
class Mnist(TorchvisionSource):
    """60,000 + 10,000 handwritten digits, 28x28, grey (LeCun et al. 1998)."""

    torchvision_class: ClassVar[str] = "MNIST"
    folder: ClassVar[str] = "MNIST/raw"
    files: ClassVar[tuple[str, ...]] = _IDX_FILES
    native: ClassVar[tuple[int, int]] = (28, 28)
    in_channels: ClassVar[int] = 1
    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")
    has_directions: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class FashionMnist(TorchvisionSource):
    """60,000 + 10,000 pictures of clothes, 28x28, grey (Xiao et al. 2017)."""

    torchvision_class: ClassVar[str] = "FashionMNIST"
    folder: ClassVar[str] = "FashionMNIST/raw"
    files: ClassVar[tuple[str, ...]] = _IDX_FILES
    native: ClassVar[tuple[int, int]] = (28, 28)
    in_channels: ClassVar[int] = 1
    class_names: ClassVar[tuple[str, ...]] = (
        "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cifar10(TorchvisionSource):
    """50,000 + 10,000 colour images, 32x32 (Krizhevsky 2009)."""

    torchvision_class: ClassVar[str] = "CIFAR10"
    folder: ClassVar[str] = "cifar-10-batches-py"
    files: ClassVar[tuple[str, ...]] = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta")
    archive: ClassVar[str] = "cifar-10-python.tar.gz"
    native: ClassVar[tuple[int, int]] = (32, 32)
    in_channels: ClassVar[int] = 3
    class_names: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cifar100(TorchvisionSource):
    """50,000 + 10,000 colour images of 100 classes, 32x32 (Krizhevsky 2009)."""

    torchvision_class: ClassVar[str] = "CIFAR100"
    folder: ClassVar[str] = "cifar-100-python"
    files: ClassVar[tuple[str, ...]] = ("train", "test", "meta")
    archive: ClassVar[str] = "cifar-100-python.tar.gz"
    native: ClassVar[tuple[int, int]] = (32, 32)
    in_channels: ClassVar[int] = 3
    class_names: ClassVar[tuple[str, ...]] = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo",
        "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
        "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree",
        "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit",
        "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
        "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
        "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe",
        "whale", "willow_tree", "wolf", "woman", "worm",
    )  # fmt: skip
