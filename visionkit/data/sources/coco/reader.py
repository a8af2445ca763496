"""Reader of COCO's JSON files; 118,000 images with 860,000 boxes take some six seconds on one core."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset, clean_boxes, list_images
from visionkit.data.sources.coco.segmentations import read_segmentations
from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["read_coco"]

Category = tuple[int, str]

_OUTLINES = re.compile(rb'"segmentation"\s*:\s*\[[\[\]\d\s.,eE+-]*\]')


def read_coco(
    root: Path, files: Mapping[str, tuple[Path, str | None, Sequence[str]]], *, with_masks: bool = False
) -> ParsedDataset[AnnotatedImages]:
    """Read the JSON file of each split.

    Args:
        root: The data set's folder.
        files: For each split its JSON file, the folder of its images or None, and the folders to search if None.
        with_masks: Whether to read segmentations; objects without one are then dropped with a finding.

    Raises:
        UserError: If a file cannot be read, is not in COCO's format, uses a category that it does not define, or has
            other categories than that of train.
    """
    findings: list[Finding] = []
    splits: dict[str, AnnotatedImages] = {}
    categories: tuple[Category, ...] = ()
    for split, (file, folder, folders) in files.items():
        stat = file.stat()
        images, split_categories, split_findings = _read_file(file, stat.st_mtime_ns, stat.st_size, with_masks)
        if splits and split_categories != categories:
            raise UserError(
                f"dataset.root: '{file}' has other categories than the file of train. "
                f"Found {describe(_names(split_categories))}, expected {describe(_names(categories))}."
            )
        categories = split_categories
        findings += split_findings
        splits[split] = _resolve_paths(root, file, images, folder, folders, findings, split=split)
    return ParsedDataset(
        root, splits, _names(categories), findings, tuple(category_id for category_id, _ in categories)
    )


def _names(categories: Sequence[Category]) -> tuple[str, ...]:
    return tuple(name for _, name in categories)


def _resolve_paths(
    root: Path,
    file: Path,
    images: AnnotatedImages,
    folder: str | None,
    folders: Sequence[str],
    findings: list[Finding],
    *,
    split: str,
) -> AnnotatedImages:
    """The images with names relative to the root, without missing ones."""
    if folder is None:
        probe = images.names[:: max(1, len(images) // 20)]
        folder = next((f for f in folders if any((root / f / name).is_file() for name in probe)), None)
    if folder is None:
        raise UserError(
            f"dataset.root: the images of '{file}', such as '{images.names[0]}', are in none of the folders "
            f"{', '.join(name or '.' for name in folders)} of '{root}'. Say where they are: "
            f"dataset.images.{split}=folder"
        )
    paths_by_name = list_images(root, folder)
    paths = [paths_by_name.get(name.replace("\\", "/").removeprefix("./")) for name in images.names]
    existing = numpy.array([row for row, path in enumerate(paths) if path is not None], dtype=numpy.int64)
    missing = [f"{_short(file)} {images.names[row]}" for row, path in enumerate(paths) if path is None]
    findings += Finding.of("image-missing", missing)
    if not len(existing):
        raise UserError(
            f"dataset.images.{split}: none of the {len(images)} images of '{file}' is in '{root / folder}', the "
            f"first of them '{images.names[0]}'. Expected the folder that file_name is relative to."
        )
    located = images.select(existing) if missing else images
    return replace(located, names=[path for path in paths if path is not None])


@lru_cache(maxsize=3)  # the runs of a sweep share the files
def _read_file(
    file: Path, modified: int, size: int, with_masks: bool
) -> tuple[AnnotatedImages, tuple[Category, ...], list[Finding]]:
    content = _load(file, with_masks=with_masks)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise UserError(
                f"dataset.root: '{file}' has no list '{key}'; found the keys {', '.join(content) or 'none'}. "
                "Expected COCO's images, annotations and categories."
            )
    if not content["images"]:
        raise UserError(f"dataset.root: '{file}' lists no images. Expected COCO's images, annotations and categories.")
    categories = _categories(content["categories"], file)
    names, sizes, ids = _images(content["images"], file)
    category_ids = [category_id for category_id, _ in categories]
    annotations, findings = _annotations(content["annotations"], sizes, ids, category_ids, file, with_masks=with_masks)
    return AnnotatedImages(names, sizes, annotations), categories, findings


def _load(file: Path, *, with_masks: bool) -> dict[str, Any]:
    was_enabled = gc.isenabled()
    gc.disable()  # collecting cycles among millions of small lists takes longer than parsing
    try:
        text = file.read_bytes()
        try:
            # without the outlines, nine tenths of the numbers, parsing is faster
            content = json.loads(text if with_masks else _OUTLINES.sub(b'"segmentation":[]', text))
        except ValueError:
            content = json.loads(text)  # the original text, for an error at its true position
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"dataset.root: '{file}' cannot be read as JSON: {error}. Expected COCO's images, annotations "
            "and categories."
        ) from None
    finally:
        if was_enabled:
            gc.enable()
    if not isinstance(content, dict):
        raise UserError(
            f"dataset.root: '{file}' holds {describe(content)}. Expected a mapping with COCO's images, annotations and "
            "categories."
        )
    return content


def _categories(entries: Sequence[Any], file: Path) -> tuple[Category, ...]:
    """Category ids and names, sorted by id; the index in this order is the class id."""
    try:
        names_by_id = {int(entry["id"]): str(entry["name"]) for entry in entries}
    except (KeyError, TypeError, ValueError):
        raise UserError(f"dataset.root: '{file}': each of the categories needs an id and a name.") from None
    if not names_by_id or len(names_by_id) < len(entries):
        raise UserError(
            f"dataset.root: '{file}' has {len(entries)} categories with {len(names_by_id)} different ids. Expected one "
            "or more, each with an id of its own."
        )
    return tuple(sorted(names_by_id.items()))


def _images(entries: Sequence[Any], file: Path) -> tuple[list[str], NDArray[Any], NDArray[Any]]:
    """File names, heights and widths, int64 (N, 2), 0 where unknown, and ids, int64 (N,)."""
    try:
        names = [entry["file_name"] for entry in entries]
        ids = numpy.array([entry["id"] for entry in entries], dtype=numpy.int64)
        sizes = numpy.array([(entry.get("height") or 0, entry.get("width") or 0) for entry in entries]).astype("int64")
        invalid = next((name for name in names if not isinstance(name, str)), None)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"dataset.root: '{file}': each of the images needs a whole number as id and a file_name ({error!r})."
        ) from None
    if invalid is not None:
        raise UserError(f"dataset.root: '{file}': expected a word as file_name, found {describe(invalid)}.")
    distinct, counts = numpy.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        raise UserError(
            f"dataset.root: '{file}' has two images with the id {distinct[counts > 1][0]}. Expected an id of its own "
            "for each."
        )
    return names, numpy.where((sizes > 0).all(axis=1, keepdims=True), sizes, 0), ids


def _annotations(
    entries: Sequence[Any],
    sizes: NDArray[Any],
    image_ids: NDArray[Any],
    category_ids: Sequence[int],
    file: Path,
    *,
    with_masks: bool,
) -> tuple[Annotations, list[Finding]]:
    def describe_annotation(row: int) -> str:
        entry = entries[row]
        return f"annotation {entry.get('id', f'number {row + 1}') if isinstance(entry, dict) else row + 1}"

    def locate(row: int) -> str:
        return f"{_short(file)} {describe_annotation(row)}"

    rows, findings = list(range(len(entries))), list[Finding]()
    try:
        image_id, category_id, xywh = _columns(entries)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        valid = numpy.array([_is_valid(entry) for entry in entries], dtype=bool)
        rows = numpy.flatnonzero(valid).tolist()
        findings = Finding.of(
            "annotation-invalid",
            [locate(int(row)) for row in numpy.flatnonzero(~valid)],
        )
        image_id, category_id, xywh = _columns([entries[row] for row in rows])
    image, has_image = _find_positions(image_id, image_ids)
    label, has_category = _find_positions(category_id, numpy.array(category_ids))
    if not has_category.all():
        row = rows[numpy.flatnonzero(~has_category)[0]]
        raise UserError(
            f"dataset.root: '{file}': {describe_annotation(row)} has category_id {entries[row]['category_id']}, which "
            f"the categories do not define. Expected one of {describe(list(category_ids))}."
        )
    orphans = [locate(rows[row]) for row in numpy.flatnonzero(~has_image)]
    findings += Finding.of("annotation-orphan", orphans)
    crowd = numpy.array([entries[row].get("iscrowd") == 1 for row in rows], dtype=bool)
    area = numpy.array([_area(entries[row].get("area")) for row in rows], dtype=numpy.float64)
    boxes = numpy.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    order = numpy.argsort(image, kind="stable")
    order = order[has_image[order]]
    segmentations = None
    if with_masks:
        entries_in_order = [entries[rows[row]].get("segmentation") for row in order]
        segmentations, readable, shape_findings = read_segmentations(
            entries_in_order, sizes[image[order]], [locate(rows[row]) for row in order]
        )
        order, findings = order[readable], findings + shape_findings
    boxes, valid, box_findings = clean_boxes(boxes[order], sizes[image[order]], lambda row: locate(rows[order[row]]))
    order = order[valid]
    segmentations = None if segmentations is None else segmentations[valid]
    objects = Objects.from_columns(
        boxes, label[order], crowd=crowd[order], area=area[order], segmentations=segmentations
    )
    return Annotations.from_sorted(objects, image[order], num_images=len(sizes)), findings + box_findings


def _short(file: Path) -> str:
    """A file's name and folder, which distinguish the files of splits that some tools give the same name."""
    return f"{file.parent.name}/{file.name}"


def _columns(entries: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """image_id, int64 (n,), category_id, int64 (n,), and bbox, float64 (n, 4), xywh; any error for invalid entries."""
    image_id, category_id = (
        numpy.array([entry[key] for entry in entries], dtype=numpy.int64) for key in ("image_id", "category_id")
    )
    xywh = numpy.array([entry["bbox"] for entry in entries], dtype=numpy.float64)
    return image_id, category_id, xywh.reshape(len(entries), 4)


def _is_valid(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    box = entry.get("bbox")
    return (
        type(entry.get("image_id")) is int
        and type(entry.get("category_id")) is int
        and isinstance(box, list)
        and len(box) == 4
        and all(type(value) in (int, float) for value in box)
    )


def _find_positions(values: NDArray[Any], keys: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The position of each value among the keys, and whether it is one of them."""
    order = numpy.argsort(keys, kind="stable")
    row = numpy.minimum(numpy.searchsorted(keys, values, sorter=order), len(keys) - 1)
    position: NDArray[Any] = order[row]
    return position, keys[position] == values


def _area(value: Any) -> float:
    return float(value) if type(value) in (int, float) and 0 < value < float("inf") else float("nan")
