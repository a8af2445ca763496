"""The entries of COCO's lists ``categories`` and ``images``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.sources.coco.ids import FileId, normalize_id
from visionkit.data.sources.coco.numbers import read_scalars
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe
from visionkit.text import normal_form

__all__ = ["Category", "ImageEntries", "match_categories", "read_categories", "read_images"]

Category = tuple[FileId, str]


@dataclass(frozen=True)
class ImageEntries:
    """The images that a file lists.

    Attributes:
        names: The ``file_name`` of each.
        sizes: int64 (N, 2), height and width in pixels, 0 where unknown.
        ids: The id of each.
        positions: The position of each id's first entry; entries of one id have one name.
        max_pixels: The pixels of the largest image that is believed.
    """

    names: list[str]
    sizes: NDArray[Any]
    ids: list[FileId]
    positions: Mapping[FileId, int]
    max_pixels: int


def read_categories(entries: Sequence[Any], file: Path) -> tuple[Category, ...]:
    """Ids and names, sorted by id, numbers before texts; the index in this order is the class id.

    Raises:
        UserError: If one has no id or no name, or two have the same id.
    """
    names_by_id: dict[FileId, str] = {}
    for entry in entries:
        category_id = normalize_id(entry.get("id")) if isinstance(entry, dict) else None
        name = entry.get("name") if isinstance(entry, dict) else None
        if category_id is None or isinstance(name, (list, dict, type(None))):
            raise UserError(f"dataset.root: '{file}': each of the categories needs an id and a name.")
        plain = str(name).encode("utf-8", "replace").decode()  # JSON may hold half characters
        names_by_id[category_id] = normal_form(plain)
    if not names_by_id or len(names_by_id) < len(entries):
        raise UserError(
            f"dataset.root: '{file}' has {len(entries)} categories with {len(names_by_id)} different ids. Expected one "
            "or more, each with an id of its own."
        )
    return tuple(sorted(names_by_id.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def match_categories(
    categories: Sequence[Category], expected: Sequence[Category], file: Path, *, used: Collection[int]
) -> tuple[NDArray[Any], list[str], list[str]]:
    """Match the categories of a file with those of train, by name.

    Args:
        categories: Those of the file.
        expected: Those of train.
        file: The file, for messages.
        used: The positions of the categories that objects of the file have.

    Returns:
        The class id of each, int64 (n,), -1 for one that train does not have; the names of those that have another id
        in train; and the names of those that train does not have.

    Raises:
        UserError: If train does not have a category that is used, or has two of its name with other ids.
    """
    if tuple(categories) == tuple(expected):
        return numpy.arange(len(categories)), [], []
    by_name: dict[str, list[int]] = {}
    for class_id, (_, name) in enumerate(expected):
        by_name.setdefault(name, []).append(class_id)
    unknown = [name for position, (_, name) in enumerate(categories) if name not in by_name and position in used]
    if unknown:
        raise UserError(
            f"dataset.root: '{file}' has other categories than the file of train, which does not have "
            f"{describe(unknown)}.{did_you_mean(unknown[0], by_name)} "
            f"Found {describe([name for _, name in categories])}, "
            f"expected some of {describe([name for _, name in expected])}."
        )
    unused = [name for _, name in categories if name not in by_name]
    class_of = {category: class_id for class_id, category in enumerate(expected)}
    renumbered = [name for number, name in categories if (number, name) not in class_of and name in by_name]
    counts = Counter(name for _, name in categories)
    repeated = [name for name in renumbered if len(by_name[name]) > 1 or counts[name] > 1]
    if repeated:
        raise UserError(
            f"dataset.root: '{file}' and the file of train have several categories of one name, {describe(repeated)}, "
            "with other ids. Expected names of their own, or the same ids."
        )
    class_ids = [class_of.get(category, by_name.get(category[1], [-1])[0]) for category in categories]
    return numpy.array(class_ids, dtype=numpy.int64), renumbered, unused


def read_images(entries: Sequence[Any], file: Path, *, max_pixels: int) -> ImageEntries:
    """Names, sizes and ids of the images that a file lists.

    Args:
        entries: The JSON values of ``images``.
        file: The file, for messages.
        max_pixels: The pixels of the largest image that is believed; a larger one is of unknown size.

    Raises:
        UserError: If an entry has no id or no name, or two images have one id.
    """
    if not set(map(type, entries)) <= {dict}:
        odd = next(entry for entry in entries if type(entry) is not dict)
        raise UserError(f"dataset.root: '{file}': expected a mapping for each of the images, found {_describe(odd)}.")
    names = [entry.get("file_name") for entry in entries]
    found = (normalize_id(entry.get("id")) for entry in entries)
    ids = [image_id for image_id in found if image_id is not None]
    if len(ids) < len(entries) or None in names:
        row = next(r for r, e in enumerate(entries) if normalize_id(e.get("id")) is None or names[r] is None)
        raise UserError(
            f"dataset.root: '{file}': each of the images needs an id, a number or a text, and a file_name; number "
            f"{row + 1} has the id {_describe(entries[row].get('id'))} and the file_name {_describe(names[row])}."
        )
    invalid = next((name for name in names if not isinstance(name, str)), None)
    if invalid is not None:
        raise UserError(f"dataset.root: '{file}': expected a word as file_name, found {_describe(invalid)}.")
    positions: dict[FileId, int] = {}
    for row, image_id in enumerate(ids):
        first = positions.setdefault(image_id, row)
        if names[first] != names[row]:
            raise UserError(
                f"dataset.root: '{file}' has two images with the id {_describe(image_id)}, '{names[first]}' and "
                f"'{names[row]}'. Expected an id of its own for each."
            )
    sizes = numpy.stack([read_scalars([entry.get(key) for entry in entries]) for key in ("height", "width")], axis=1)
    with numpy.errstate(invalid="ignore", over="ignore"):
        known = (sizes >= 1).all(axis=1) & (sizes.prod(axis=1) <= max_pixels)
    return ImageEntries(names, numpy.where(known[:, None], sizes, 0).astype(numpy.int64), ids, positions, max_pixels)


def _describe(value: Any) -> str:
    try:
        return describe(value)
    except RecursionError:
        return f"a {type(value).__name__}"
