"""Readers of Pascal VOC's masks (Everingham et al. 2010, development kit).

Those of classes are in ``SegmentationClass/``, those of objects in ``SegmentationObject/``.

Annotation tools that export this format add ``labelmap.txt`` next to the folders, a line ``name:r,g,b::`` per colour.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.image_header import read_size
from visionkit.data.mask_values import ValueTable, encode_colour, read_mask
from visionkit.data.polygons import Polygons, run_lengths
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.pairing import Pair
from visionkit.data.sources.masks.pairs import MaskedImages, ParsedMasks, read_pairs
from visionkit.data.sources.same_names import match_names
from visionkit.data.sources.split_names import FILL_VAL
from visionkit.data.sources.voc.layout import find_mask_parent, image_folder, split_lists
from visionkit.data.sources.voc.names import find_stem, hold_val_out, read_list
from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.structures.class_ids import BACKGROUND, IGNORE_INDEX
from visionkit.text import normal_form

if TYPE_CHECKING:
    from visionkit.data.sources.file_source import FileSource

__all__ = ["VOC_CLASSES", "read_class_masks", "read_mask_objects"]

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_CLASS_FOLDER, _OBJECT_FOLDER = "SegmentationClass", "SegmentationObject"
_VOID_COLOUR = encode_colour(224, 224, 192)
_NO_OBJECT = frozenset({0, IGNORE_INDEX, _VOID_COLOUR})  # background and void


def read_class_masks(
    source: FileSource, root: Path, *, images: str | None, classes: Sequence[str] | None
) -> ParsedMasks:
    """Read the images that have a class mask, of the splits in ``ImageSets/Segmentation/`` if there are any.

    Args:
        source: The data set, with its name, its settings and its limit of pixels.
        root: The data set's folder.
        images: The folder of the images, relative to the root; None searches for it.
        classes: The classes without the background; None takes those of ``labelmap.txt``, else VOC's 20.

    Raises:
        UserError: If a folder or a split has no masks, or a file cannot be read.
    """
    findings: list[Finding] = []
    base = find_mask_parent(root)
    lists = split_lists(root / base, "Segmentation")
    image_lists = ImageLists(root, own_endings={".xml"})
    pairs = _pairs(image_lists, base, image_folder(root, base + _CLASS_FOLDER, images), lists, findings)
    findings += image_lists.findings()
    file = next((f for f in (root / base / "labelmap.txt", root / "labelmap.txt") if f.is_file()), None)
    class_map = None if file is None else ClassMap.parse(_label_map(file))
    names: tuple[str, ...] = VOC_CLASSES
    if classes is not None:
        names = (BACKGROUND, *classes)
    elif class_map is not None:
        found = dict.fromkeys(name for name in class_map.names.values() if name is not None)
        names = tuple(sorted(found, key=lambda name: name.lower() != BACKGROUND))  # the background first
    void = IGNORE_INDEX if class_map is None or not class_map.coloured else _VOID_COLOUR
    parsed = read_pairs(source, root, pairs, findings, classes=names, class_map=class_map, ignore=(void,))
    return replace(parsed, names_splits=lists is not None)


def read_mask_objects(parsed: ParsedMasks) -> ParsedDataset[AnnotatedImages]:
    """Read objects: their pixels from ``SegmentationObject``, their classes from ``SegmentationClass``.

    Args:
        parsed: The images with their class masks, as `read_class_masks`.

    Raises:
        UserError: If there are no object masks.
    """
    base = find_mask_parent(parsed.root)
    findings = list(parsed.findings)
    image_lists = ImageLists(parsed.root)
    object_masks = image_lists.stems(base + _OBJECT_FOLDER, findings)
    findings += image_lists.findings()
    if not object_masks:
        raise UserError(
            f"dataset.root: no masks of objects in '{parsed.root / base / _OBJECT_FOLDER}', which task=instance needs "
            f"beside {_CLASS_FOLDER}. Expected a PNG file for each image. For classes alone: task=segment"
        )
    table = parsed.classes.table if parsed.classes is not None else ValueTable({})
    splits: dict[str, AnnotatedImages] = {}
    for split, images in parsed.splits.items():
        files = [object_masks.get(os.path.splitext(os.path.basename(mask))[0]) for mask in images.masks]
        without_mask = [name for name, file in zip(images.names, files, strict=True) if file is None]
        findings += Finding.of("mask-objects-missing", without_mask)
        rows = numpy.array([row for row, file in enumerate(files) if file is not None], dtype=numpy.int64)
        splits[split] = _read_split(parsed.root, images.select(rows), [f for f in files if f], table, findings)
    return ParsedDataset(
        parsed.root, splits, parsed.class_names[1:], findings, notes=parsed.notes, names_splits=parsed.names_splits
    )


def _pairs(
    image_lists: ImageLists, base: str, images: str, lists: Mapping[str, Path] | None, findings: list[Finding]
) -> dict[str, list[Pair]]:
    """The images and class masks of each split; ``base`` is that of `find_mask_parent`."""
    root = image_lists.root
    image_files, masks = (
        {normal_form(stem): path for stem, path in image_lists.stems(folder, findings).items()}
        for folder in (images, base + _CLASS_FOLDER)
    )
    if not masks:
        raise UserError(
            f"dataset.root: no masks in '{root / base / _CLASS_FOLDER}'. Expected a PNG file for each image."
        )
    partner, other_case = match_names(image_files, masks)
    findings += Finding.of(
        "name-other-case", [f"{image_files[stem]} and {masks[partner[stem]]}" for stem in other_case]
    )
    images_of = {mask: image for image, mask in partner.items()}
    masks = {images_of.get(stem, stem): path for stem, path in masks.items()}
    listed = {"train": list(masks)} if lists is None else {}
    known = masks.keys() | image_files.keys()
    for split, file in (lists or {}).items():
        stems = {line: find_stem(line, known) for line in read_list(file)}
        findings += Finding.of("image-listed-missing", [line for line, stem in stems.items() if not stem], split=split)
        listed[split] = list(dict.fromkeys(stem for stem in stems.values() if stem))
    listed = listed if lists is None else hold_val_out(listed, lists)
    pairs = {
        split: [(image_files[stem], masks[stem]) for stem in stems if stem in image_files and stem in masks]
        for split, stems in listed.items()
    }
    listed_stems = [stem for stems in listed.values() for stem in stems]
    findings += Finding.of(
        "mask-orphan",
        [masks[stem] for stem in listed_stems if stem in masks and stem not in image_files],
    )
    findings += Finding.of("mask-missing", [image_files[stem] for stem in listed_stems if stem not in masks])
    empty = next((split for split, split_pairs in pairs.items() if not split_pairs), None)
    if empty is not None:
        details = "".join(f" {finding.note}." for finding in findings)
        advice = f" {FILL_VAL}" if empty == "val" else ""
        raise UserError(f"dataset.root: nothing is left for {empty} in '{root}'.{details}{advice}")
    return pairs


@dataclass(frozen=True)
class _ImageObjects:
    """The objects of one image, or the problem of its files."""

    size: tuple[int, int] = (0, 0)
    labels: tuple[int, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    runs: tuple[NDArray[Any], ...] = ()
    unclassed: tuple[str, ...] = ()
    problem: str = ""


def _read_split(
    root: Path, images: MaskedImages, files: list[str], table: ValueTable, findings: list[Finding]
) -> AnnotatedImages:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        contents = list(pool.map(lambda mask, file: _read_objects(root, mask, file, table), images.masks, files))
    findings += Finding.of("mask-objects-unfit", [content.problem for content in contents if content.problem])
    findings += Finding.of("object-unclassed", [location for content in contents for location in content.unclassed])
    readable = [(name, content) for name, content in zip(images.names, contents, strict=True) if not content.problem]
    runs = [object_runs for _, content in readable for object_runs in content.runs]
    objects = Objects.from_columns(
        [box for _, content in readable for box in content.boxes],
        [label for _, content in readable for label in content.labels],
        area=[float(object_runs[1::2].sum()) for object_runs in runs],
        segmentations=Polygons.from_list(runs, is_rle=True),
    )
    image = numpy.repeat(numpy.arange(len(readable)), [len(content.labels) for _, content in readable])
    sizes = numpy.array([content.size for _, content in readable], dtype=numpy.int64).reshape(-1, 2)
    annotations = Annotations.from_sorted(objects, image, num_images=len(readable))
    return AnnotatedImages([name for name, _ in readable], sizes, annotations)


def _read_objects(root: Path, class_mask: str, object_mask: str, table: ValueTable) -> _ImageObjects:
    try:
        classes = table.translate(read_mask(root / class_mask, coloured=table.coloured))
        size = read_size(root / object_mask)
        if size != classes.shape:  # which is known not to exceed the limit of pixels
            sizes = " and ".join(f"{width}x{height}" for height, width in (size, classes.shape))
            return _ImageObjects(problem=f"{object_mask} ({sizes} of classes, width x height)")
        objects = read_mask(root / object_mask, coloured=None)
    except UserError as error:
        return _ImageObjects(problem=f"{object_mask} ({error})")
    labels, boxes, runs, unclassed = [], [], [], []
    for value in sorted(set(numpy.unique(objects).tolist()) - _NO_OBJECT):
        object_pixels = objects == value
        ids = classes[object_pixels]
        ids = ids[(ids > 0) & (ids < IGNORE_INDEX)]
        if not len(ids):
            unclassed.append(f"{object_mask} object {value}")
            continue
        labels.append(int(numpy.bincount(ids).argmax()) - 1)
        y, x = (numpy.flatnonzero(object_pixels.any(axis=axis)) for axis in (1, 0))
        boxes.append((float(x[0]), float(y[0]), float(x[-1] + 1), float(y[-1] + 1)))
        runs.append(run_lengths(object_pixels))
    return _ImageObjects(size, tuple(labels), tuple(boxes), tuple(runs), tuple(unclassed))


def _label_map(file: Path) -> dict[str, str | None]:
    """The class name of each colour, from lines ``name:r,g,b::``."""
    try:
        lines = read_text(file).splitlines()
    except (OSError, UnicodeError) as error:
        raise UserError(f"dataset.root: '{file}' cannot be read: {error}. Expected lines name:r,g,b::") from None
    entries = [line.split(":") for line in lines if line.strip() and not line.startswith("#")]
    if not entries:
        raise UserError(f"dataset.root: '{file}' is empty. Expected lines name:r,g,b:: Else remove it.")
    invalid = next((":".join(parts) for parts in entries if len(parts) < 2), None)
    if invalid is not None:
        raise UserError(f"dataset.root: '{file}' has the line '{invalid}'. Expected name:r,g,b::")
    return {parts[1]: parts[0] for parts in entries}
