"""The images of one split in a person's data set, of which each item is asked for when it is needed."""

from __future__ import annotations

from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.class_masks import ClassMasks
from visionkit.data.dataset import ImageDataset
from visionkit.data.image_error import ImageError
from visionkit.data.image_header import as_stored
from visionkit.data.images import ImageReader, LoadedImage
from visionkit.data.memory_images import is_image, read_memory
from visionkit.data.sources.python.targets import ItemTargets, describe
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

__all__ = ["ItemDataset"]


class ItemDataset(ImageDataset):
    """Items of a data set with ``__getitem__``; image and target of a sample are those of one call of it.

    Args:
        data: The data set.
        rows: int64 (N,), the numbers of the split's items.
        prefix: What its items are called, such as ``train``.
        targets: How their targets are read.
        reader: How their images are read.
        labels: int64 (N,) or uint8 (N, K), see `ImageDataset`; None for zeros.
        annotations: The objects of each image as they were found before training, for counts.
    """

    of_items = True

    def __init__(
        self,
        data: Any,
        rows: NDArray[Any],
        *,
        prefix: str,
        targets: ItemTargets,
        reader: ImageReader,
        labels: Tensor | None = None,
        annotations: Annotations | None = None,
    ) -> None:
        self.data, self.rows, self.prefix, self.targets, self.reader = data, rows, prefix, targets, reader
        self.in_channels = reader.in_channels
        self.labels = labels if labels is not None else torch.zeros(len(rows), dtype=torch.int64)
        self.annotations = annotations
        self.masks = ItemMasks(self) if targets.kind == "mask" else None
        self._last: tuple[int, Any, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    @property
    def nbytes(self) -> int:
        annotations = self.annotations.nbytes if self.annotations is not None else 0
        return self.labels.nbytes + int(self.rows.nbytes) + annotations

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8 if self.reader.value_range is None else torch.float32

    def name(self, index: int) -> str:
        return f"{self.prefix}[{int(self.rows[index])}]"

    def item(self, index: int) -> tuple[Any, Any]:
        """Image and target as the data set gives them; that of the last index is kept.

        Raises:
            ImageError: If the data set raises an error.
            UserError: If its item is no pair of an image and a target.
        """
        last = self._last
        if last is not None and last[0] == index:
            return last[1], last[2]
        name = self.name(index)
        try:
            item = self.data[int(self.rows[index])]
        except Exception as error:
            raise ImageError(f"{name} raises {type(error).__name__}: {error}", code="item-failed") from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UserError(f"dataset: {name} is {describe(item)}. Expected a pair (image, target).")
        if not is_image(item[0]):
            raise UserError(
                f"dataset: the image of {name} is {describe(item[0])}. Expected a Pillow image, a NumPy array (H, W) "
                "or (H, W, C), or a tensor (C, H, W)."
            )
        self._last = (index, item[0], item[1])
        return item[0], item[1]

    def original(self, index: int) -> LoadedImage:
        """The image at its own size, read afresh.

        Raises:
            UserError: As `item`, or if it is no image that can be read.
        """
        self._last = None
        return read_memory(self.reader, self._image(index), name=self.name(index))

    def image(self, index: int) -> Tensor:
        self._last = None
        self._check_label(index)
        return read_memory(self.reader, self._image(index), name=self.name(index)).pixels

    def fitted(self, index: int, transform: InputTransform) -> LoadedImage:
        self._last = None
        self._check_label(index)
        loaded = read_memory(self.reader, self._image(index), name=self.name(index), target=transform.content_size)
        return loaded._replace(pixels=transform.place(loaded.pixels))

    def annotation(self, index: int) -> Objects:
        return self.targets.objects(self.item(index)[1], self.size(index), self.name(index)).objects

    def select(self, positions: Tensor) -> ItemDataset:
        rows = positions.numpy()
        return ItemDataset(
            self.data,
            self.rows[rows],
            prefix=self.prefix,
            targets=self.targets,
            reader=self.reader,
            labels=self.labels[positions],
            annotations=self.annotations.select(rows) if self.annotations is not None else None,
        )

    def _image(self, index: int) -> Any:
        """The image; one with objects or a mask is not turned by EXIF, for these are of its pixels as they are."""
        image = self.item(index)[0]
        is_annotated = self.targets.kind not in ("label", "label_set")
        return as_stored(image) if is_annotated else image

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of an image with objects or a mask."""
        image = self.item(index)[0]
        if isinstance(image, Tensor):
            return int(image.shape[-2]), int(image.shape[-1])
        if isinstance(image, numpy.ndarray):
            return int(image.shape[0]), int(image.shape[1])
        return int(image.size[1]), int(image.size[0])

    def _check_label(self, index: int) -> None:
        """Check that the item still has the label that was found before training.

        Raises:
            ImageError: If it has another, and would be trained on with a wrong one.
        """
        if self.targets.kind not in ("label", "label_set"):
            return
        target, name = self.item(index)[1], self.name(index)
        read = self.targets.label if self.targets.kind == "label" else self.targets.label_set
        found, known = torch.as_tensor(read(target, name)), self.labels[index]
        if not bool((found == known).all()):
            raise ImageError(
                f"{name} had the label {known.tolist()} before training and has {found.tolist()} now. Expected the "
                "same item whenever it is asked for."
            )


class ItemMasks(ClassMasks):
    """The masks of an `ItemDataset`."""

    def __init__(self, samples: ItemDataset) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        samples = self.samples
        mask = samples.targets.mask(samples.item(index)[1], samples.size(index), samples.name(index)).mask
        return torch.from_numpy(mask)

    def select(self, positions: Tensor) -> ItemMasks:
        return ItemMasks(self.samples.select(positions))

    def count_pixels(self, num_classes: int) -> Tensor:
        """The same one after another: whether a person's data set can be asked by several threads is unknown."""
        counts = torch.zeros(num_classes, dtype=torch.int64)
        for index in range(len(self)):
            counts += torch.bincount(self[index].flatten(), minlength=256)[:num_classes]
        return counts

    @property
    def nbytes(self) -> int:
        return 0
