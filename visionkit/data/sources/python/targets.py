"""The targets of items that a person's data set gives, checked and brought into the form of those of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Objects
from visionkit.data.image_error import ImageError
from visionkit.data.polygons import Polygons, run_lengths
from visionkit.data.sources.annotations import clean_boxes
from visionkit.data.sources.object_limits import MAX_OBJECTS
from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["ItemMask", "ItemObjects", "ItemTargets"]


class ItemObjects(NamedTuple):
    """The objects of an item, and what was dropped or repaired: the code of a finding and its place, each."""

    objects: Objects
    problems: list[tuple[str, str]]


class ItemMask(NamedTuple):
    """A mask, uint8 (H, W), and whether values outside the classes were ignored in it."""

    mask: NDArray[Any]
    has_strays: bool


@dataclass(frozen=True)
class ItemTargets:
    """How targets are read.

    Attributes:
        kind: One of the kinds of `visionkit.data.sources.base.Source.targets`.
        num_classes: The number of classes; None if it is counted, for labels alone.
        first: The label of the first class of objects, 1 behind a background.
        ignore: The value of masks that is ignored; None for none.
    """

    kind: str
    num_classes: int | None
    first: int = 0
    ignore: int | None = None

    def label(self, target: Any, name: str) -> int:
        """A class id.

        Raises:
            UserError: If it is none.
        """
        values = _array(target)
        if values is None or values.size != 1 or values.dtype.kind not in "iu":
            raise self._unfit(target, name, "a whole number, the class")
        label = int(values.reshape(()))
        if label < 0 or (self.num_classes is not None and label >= self.num_classes):
            raise self._outside(label, name)
        return label

    def label_set(self, target: Any, name: str) -> NDArray[Any]:
        """A set of classes, uint8 (K,), of K values 0 and 1 or of a list of class ids.

        Raises:
            UserError: If it is neither.
        """
        count = self.num_classes or 0
        values = numpy.zeros(0, dtype=numpy.int64) if _is_empty_list(target) else _array(target)
        expected = f"{count} values 0 and 1, or a list of class ids"
        if values is None or values.ndim != 1 or values.dtype.kind not in "iufb":
            raise self._unfit(target, name, expected)
        is_list, is_set = isinstance(target, list | tuple), isinstance(target, set | frozenset)
        if len(values) == count and bool(numpy.isin(values, (0, 1)).all()) and not is_set:
            if is_list and len(set(values.tolist())) == count:
                raise self._unfit(target, name, f"{expected}, and this may be either. Give an array or a set")
            return values.astype(numpy.uint8)
        if not (is_list or is_set) or (len(values) and values.dtype.kind not in "iu"):
            raise self._unfit(target, name, expected)
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < count:
            raise self._outside(int(values.max() if values.min() >= 0 else values.min()), name)
        result = numpy.zeros(count, dtype=numpy.uint8)
        result[values] = 1
        return result

    def objects(self, target: Any, size: tuple[int, int], name: str) -> ItemObjects:
        """The objects of an image of this height and width, boxes clipped and invalid ones dropped.

        Raises:
            UserError: If the target is no mapping of boxes, labels and, for instances, masks of equal lengths, or a
                label is no class.
        """
        wanted = ("boxes", "labels", "masks") if self.kind == "instances" else ("boxes", "labels")
        expected = f"a dict of {' and '.join(wanted)}: boxes (N, 4) as x1, y1, x2, y2 in pixels, labels (N,)"
        expected += ", masks (N, H, W)" if self.kind == "instances" else ""
        if not isinstance(target, Mapping) or not set(wanted) <= set(target):
            raise self._unfit(target, name, expected)
        boxes, labels = self._boxes(target["boxes"], size, name), _array(target["labels"])
        if labels is None or labels.shape != (len(boxes),) or (len(labels) and labels.dtype.kind not in "iu"):
            raise self._unfit(target["labels"], f"labels of {name}", f"{len(boxes)} whole numbers, one for each box")
        labels = labels.astype(numpy.int64) - self.first
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < (self.num_classes or 0):
            worst = labels.max() if labels.min() >= 0 else labels.min()
            raise self._outside(int(worst) + self.first, name)
        masks = self._masks(target["masks"], len(boxes), size, name) if self.kind == "instances" else None
        sizes = numpy.tile(numpy.array(size, dtype=numpy.int64), (len(boxes), 1))
        clean, rows, findings = clean_boxes(boxes, sizes, lambda row: f"{name} object {row}")
        problems = [(f.code, place) for f in findings for place in f.places]
        if masks is not None:
            has_pixel = masks[rows].any(axis=(1, 2))
            problems += [("item-mask-empty", f"{name} object {row}") for row in rows[~has_pixel]]
            clean, rows = clean[has_pixel], rows[has_pixel]
        keep = _first_of_each(clean, labels[rows], None if masks is None else masks[rows])
        problems += [("annotation-repeated", f"{name} object {row}") for row in numpy.delete(rows, keep)]
        if len(keep) > MAX_OBJECTS:
            problems.append(("too-many-objects", name))
        clean, rows = clean[keep[:MAX_OBJECTS]], rows[keep[:MAX_OBJECTS]]
        columns = {key: self._column(target, key, len(boxes), name) for key in ("iscrowd", "area")}
        crowd, area = (None if column is None else column[rows] for column in columns.values())
        runs = None if masks is None else Polygons.from_list([run_lengths(mask) for mask in masks[rows]], is_rle=True)
        return ItemObjects(
            Objects.from_columns(clean, labels[rows], crowd=crowd, area=area, segmentations=runs), problems
        )

    def mask(self, target: Any, size: tuple[int, int], name: str) -> ItemMask:
        """The class mask of an image of this height and width.

        Raises:
            UserError: If the target is no array (H, W) of whole numbers.
            ImageError: If it has another size.
        """
        values = _array(target)
        if values is not None and values.ndim == 3 and values.shape[0] == 1:
            values = values[0]
        if values is None or values.ndim != 2 or values.dtype.kind not in "iub":
            raise self._unfit(target, name, "a mask (H, W) of whole numbers, the class of each pixel")
        if values.shape != size:
            raise ImageError(
                f"{name} has a mask of {values.shape[1]}x{values.shape[0]} and an image of {size[1]}x{size[0]} "
                "(width x height). Expected one size.",
                code="mask-size",
            )
        values = values.astype(numpy.int64)
        is_class = (values >= 0) & (values < (self.num_classes or 0))
        is_ignored = values == self.ignore if self.ignore is not None else numpy.zeros_like(is_class)
        mask = numpy.where(is_class & ~is_ignored, values, IGNORE_INDEX).astype(numpy.uint8)
        return ItemMask(mask, not bool((is_class | is_ignored).all()))

    def _boxes(self, boxes: Any, size: tuple[int, int], name: str) -> NDArray[Any]:
        form = getattr(getattr(boxes, "format", None), "value", "XYXY")
        if form != "XYXY":
            raise self._unfit(boxes, f"boxes of {name}", f"the form XYXY, found {form}: they are two corners in pixels")
        canvas = getattr(boxes, "canvas_size", None)
        if canvas is not None and tuple(canvas) != size:
            raise UserError(
                f"dataset: the boxes of {name} are for an image of {canvas[1]}x{canvas[0]}, and it is "
                f"{size[1]}x{size[0]} (width x height). Expected one size: transform image and boxes together."
            )
        values = numpy.zeros((0, 4)) if _is_empty_list(boxes) else _array(boxes)
        if values is not None and values.size == 0:
            values = numpy.zeros((0, 4))
        if values is None or values.ndim != 2 or values.shape[1] != 4 or values.dtype.kind not in "iuf":
            raise self._unfit(boxes, f"boxes of {name}", "numbers (N, 4), x1, y1, x2, y2 in pixels")
        return values.astype(numpy.float64)

    def _masks(self, masks: Any, count: int, size: tuple[int, int], name: str) -> NDArray[Any]:
        values = numpy.zeros((0, *size)) if not count else _array(masks)
        if values is None or values.ndim != 3 or len(values) != count or values.dtype.kind not in "iufb":
            raise self._unfit(masks, f"masks of {name}", f"{count} masks (N, H, W) of 0 and 1, one for each box")
        if values.shape[1:] != size:
            raise ImageError(
                f"{name} has masks of {values.shape[2]}x{values.shape[1]} and an image of {size[1]}x{size[0]} "
                "(width x height). Expected one size.",
                code="mask-size",
            )
        return values > 0.5 if values.dtype.kind == "f" else values != 0

    def _column(self, target: Mapping[str, Any], key: str, count: int, name: str) -> NDArray[Any] | None:
        if target.get(key) is None:
            return None
        values = _array(target[key])
        if values is None or values.shape != (count,) or (count and values.dtype.kind not in "iufb"):
            raise self._unfit(target[key], f"{key} of {name}", f"{count} numbers, one for each box")
        return values

    def _unfit(self, target: Any, name: str, expected: str) -> UserError:
        return UserError(f"dataset: the target of {name} is {describe(target)}. Expected {expected}.")

    def _outside(self, label: int, name: str) -> UserError:
        last = self.first + (self.num_classes or 0) - 1
        hint = ""
        if label == last + 1:
            hint = " If labels are counted from 1: subtract 1" + (
                ', or begin class_names with "background".' if self.kind in ("boxes", "instances") else "."
            )
        expected = "0 or more" if self.num_classes is None else f"{self.first} to {last}, as there are class names"
        return UserError(f"dataset: {name} has the label {label}. Expected {expected}.{hint}")


def describe(value: Any) -> str:
    """Type, shape and dtype of a value, or the value itself where it is short."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None:
        return f"{type(value).__name__} of the shape {tuple(shape)} and the type {dtype}"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} with the keys {', '.join(map(str, value)) or 'none'}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _array(value: Any) -> NDArray[Any] | None:
    """Numbers as an array; None for other values."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value  # NumPy has no bfloat16
    if isinstance(value, set | frozenset):
        value = sorted(value)
    try:
        if isinstance(value, list | tuple) and value and hasattr(value[0], "detach"):
            value = [item.detach().cpu().numpy() for item in value]
        array = numpy.asarray(value)
    except (ValueError, TypeError):
        return None
    return array if array.dtype.kind in "iufb" else None


def _is_empty_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and not len(value)


def _first_of_each(boxes: NDArray[Any], labels: NDArray[Any], masks: NDArray[Any] | None) -> NDArray[Any]:
    """The rows, ascending, without repetitions of an object."""
    columns = [boxes.astype(numpy.float32), labels]
    if masks is not None:
        columns.append(masks.sum(axis=(1, 2)))
    _, first = numpy.unique(numpy.column_stack(columns), axis=0, return_index=True)
    return numpy.sort(first)
