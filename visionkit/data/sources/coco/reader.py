"""Reader of COCO's JSON files; 118,000 images with 860,000 boxes take some six seconds on one core."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations
from visionkit.data.findings import Finding
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset
from visionkit.data.sources.coco.entries import Category, match_categories, read_categories, read_images
from visionkit.data.sources.coco.image_paths import find_image_folder, find_images
from visionkit.data.sources.coco.json_file import UnannotatedError, parse_coco
from visionkit.data.sources.coco.objects import has_boxes, read_objects, short_name
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.measured_sizes import measure_sizes
from visionkit.data.sources.repeated_objects import drop_repeated
from visionkit.errors import UserError

__all__ = ["read_coco"]


@dataclass(frozen=True)
class _File:
    """The content of one JSON file, with the names that the file gives to the images."""

    images: AnnotatedImages
    categories: tuple[Category, ...]
    findings: Sequence[Finding]


def read_coco(
    root: Path, files: Mapping[str, tuple[Path, str | None, Sequence[str]]], *, with_masks: bool, max_pixels: int
) -> ParsedDataset[AnnotatedImages]:
    """Read the JSON file of each split.

    Args:
        root: The data set's folder.
        files: For each split its JSON file, the folder of its images or None, and the folders to search if None.
        with_masks: Whether to read segmentations; objects without one are then dropped with a finding.
        max_pixels: The pixels of the largest image whose stated size is believed.

    Raises:
        UserError: If a file cannot be read, is not in COCO's format, uses a category that it does not define, or has
            a category that the file of train does not have.
    """
    findings: list[Finding] = []
    splits: dict[str, AnnotatedImages] = {}
    categories: tuple[Category, ...] = ()
    lists = ImageLists(root, own_endings={".json"})
    for split, (file, folder, folders) in files.items():
        stat = file.stat()
        try:
            content = _read_file(file, stat.st_mtime_ns, stat.st_size, with_masks, max_pixels)
        except UnannotatedError:
            if split != "test":
                raise
            findings += Finding.of("split-left-out", [f"test: {short_name(file)} has no annotations"])
            continue
        categories = categories or content.categories
        used = set(numpy.unique(content.images.annotations.objects.labels).tolist())
        class_ids, renumbered, unused = match_categories(content.categories, categories, file, used=used)
        images = _with_class_ids(content.images, class_ids)
        findings += content.findings
        findings += Finding.of("categories-by-name", renumbered, split=split)
        findings += Finding.of("category-unused", unused, split=split)
        if folder is None:
            folder = find_image_folder(root, folders, images.names, split=split, file=file)
        images, size_findings = measure_sizes(root, _with_paths(lists, file, images, folder, findings, split=split))
        splits[split] = images
        findings += size_findings
    findings += lists.findings()
    names = tuple(name for _, name in categories)
    return ParsedDataset(root, splits, names, findings, tuple(category_id for category_id, _ in categories))


@lru_cache(maxsize=3)  # the runs of a sweep share the files
def _read_file(file: Path, modified: int, size: int, with_masks: bool, max_pixels: int) -> _File:
    was_enabled = gc.isenabled()
    gc.disable()  # collecting cycles among millions of small lists takes longer than parsing
    try:
        content = parse_coco(file, with_outlines=with_masks)
        if not with_masks and not has_boxes(content["annotations"]):
            content = parse_coco(file, with_outlines=True)
        categories = read_categories(content["categories"], file)
        images = read_images(content["images"], file, max_pixels=max_pixels)
        category_ids = [category_id for category_id, _ in categories]
        annotations, sizes, findings = read_objects(
            content["annotations"], images, category_ids, file, with_masks=with_masks
        )
        del content
    finally:
        if was_enabled:
            gc.enable()
    return _File(AnnotatedImages(images.names, sizes, annotations, ids=images.ids), categories, findings)


def _with_class_ids(images: AnnotatedImages, class_ids: NDArray[Any]) -> AnnotatedImages:
    """The images with ``class_ids[label]`` instead of each label."""
    if numpy.array_equal(class_ids, numpy.arange(len(class_ids))):
        return images
    annotations = images.annotations
    objects = replace(annotations.objects, labels=class_ids[annotations.objects.labels])
    return replace(images, annotations=replace(annotations, objects=objects))


def _with_paths(
    lists: ImageLists, file: Path, images: AnnotatedImages, folder: str, findings: list[Finding], *, split: str
) -> AnnotatedImages:
    """The images with paths relative to the root, without missing ones, each file once."""
    found = find_images(lists, folder, images.names)
    paths = found.paths
    existing = numpy.array([row for row, path in enumerate(paths) if path is not None], dtype=numpy.int64)
    is_ambiguous = set(found.ambiguous)
    missing = [row for row, path in enumerate(paths) if path is None and row not in is_ambiguous]
    elsewhere = [f"{short_name(file)} {images.names[row]} ({paths[row]})" for row in found.elsewhere]
    findings += Finding.of("image-found-elsewhere", elsewhere)
    for code, rows in (("image-missing", missing), ("image-ambiguous", found.ambiguous)):
        findings += Finding.of(code, [f"{short_name(file)} {images.names[row]}" for row in rows])
    if not len(existing):
        reason = " Several files have the last parts of each name." if found.ambiguous else ""
        raise UserError(
            f"dataset.images.{split}: none of the {len(images)} images of '{file}' is in '{lists.root / folder}', the "
            f"first of them '{images.names[0]}'.{reason} Expected the folder that file_name is relative to."
        )
    located = images.select(existing) if len(existing) < len(paths) else images
    merged = _merge_repeated(replace(located, names=[path for path in paths if path is not None]), findings)
    merged, repeated = drop_repeated(merged)
    findings += repeated
    return merged


def _merge_repeated(images: AnnotatedImages, findings: list[Finding]) -> AnnotatedImages:
    """The images, of which several entries of one file are one, with the objects of all."""
    row_of: dict[str, int] = {}
    first = numpy.array([row_of.setdefault(name, row) for row, name in enumerate(images.names)], dtype=numpy.int64)
    if len(row_of) == len(first):
        return images
    repeated = numpy.flatnonzero(first != numpy.arange(len(first)))
    findings += Finding.of("image-listed-twice", [images.names[row] for row in repeated.tolist()])
    order = numpy.argsort(first, kind="stable")
    kept = numpy.flatnonzero(numpy.diff(first[order], prepend=-1))
    regrouped = images.annotations.select(order)
    image = numpy.repeat(numpy.arange(len(kept)), numpy.add.reduceat(regrouped.counts, kept))
    annotations = Annotations.from_sorted(regrouped.objects, image, num_images=len(kept))
    return replace(images.select(order[kept]), annotations=annotations)
