"""Reading the values of masks and their classes, without torch; problems are reported as findings."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.console import PipeSafeConsole
from visionkit.data.findings import Finding, check_findings
from visionkit.data.image_error import ImageError
from visionkit.data.image_header import read_header
from visionkit.data.mask_cache import MaskCache
from visionkit.data.mask_contents import ValueCounts
from visionkit.data.mask_values import encode_colour
from visionkit.data.sources.annotations import ParsedDataset
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.classes import MaskClasses, resolve_classes
from visionkit.data.sources.masks.guessing import describe_values
from visionkit.data.sources.masks.label_file import LabelFile
from visionkit.data.sources.masks.pairing import Pair
from visionkit.data.sources.masks.value_checks import check_levels, palette_findings, undeclared_void, value_findings
from visionkit.distributed.processes import is_first_process
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.sources.file_source import FileSource

__all__ = ["ParsedMasks", "MaskedImages", "read_pairs"]


@dataclass(frozen=True)
class MaskedImages:
    """The images of a split, or of a data set without splits, with their masks.

    Attributes:
        names: Paths of the images relative to the root, separated by ``/``.
        masks: Paths of their masks, in the same order.
        has_class: bool (N,), which masks have a pixel that is not ignored.
    """

    names: Sequence[str]
    masks: Sequence[str]
    has_class: NDArray[Any]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: NDArray[Any]) -> MaskedImages:
        """The images at these positions, int64 (M,), in this order."""
        names, masks = ([column[i] for i in positions] for column in (self.names, self.masks))
        return MaskedImages(names, masks, self.has_class[positions])


@dataclass(frozen=True)
class ParsedMasks(ParsedDataset[MaskedImages]):
    """The contents of a data set's files, with the classes of the masks.

    Attributes:
        classes: Class names, and the class id of each value.
    """

    classes: MaskClasses | None = None


def read_pairs(
    source: FileSource,
    root: Path,
    pairs: Mapping[str, Sequence[Pair]],
    findings: list[Finding],
    *,
    classes: Sequence[str | None] | None,
    class_map: ClassMap | None,
    ignore: Collection[int] = (),
    ids_are_sure: bool = True,
    label_file: LabelFile | None = None,
) -> ParsedMasks:
    """Read the values of all masks and determine the classes.

    Args:
        source: The data set, with its name, its settings and its limit of pixels.
        root: The data set's folder.
        pairs: Images and masks of each split.
        findings: Earlier findings; those on masks are appended.
        classes: As in `resolve_classes`.
        class_map: As there; None if values are no colours.
        ignore: As there.
        ids_are_sure: Whether ids have one meaning whatever colours the palettes of the masks give them.
        label_file: Names of ids, used if they fit; None for none.

    Raises:
        UserError: If a split has no valid pair, its values are not those of train, or as `resolve_classes`.
    """
    with MaskCache(root, coloured=class_map is not None and class_map.coloured) as cache:
        readable = {
            split: _read_split(source, root, split, pairs[split], findings, class_map, cache) for split in pairs
        }
    contents = {mask: content for split in readable.values() for (_, mask), content in split.items()}
    findings += _palette_doubts(source, contents, is_sure=ids_are_sure)
    masks = {split: {mask: content.counts for (_, mask), content in readable[split].items()} for split in readable}
    lossy = [mask for mask, content in contents.items() if content.is_lossy]
    if label_file is not None:
        values = ValueCounts.merge(list(masks["train"].values())).values.tolist()
        class_map, name_findings = label_file.class_map(values, ignore)
        findings += name_findings
    resolved = resolve_classes(
        list(masks["train"].values()), classes=classes, class_map=class_map, ignore=ignore, lossy=bool(lossy)
    )
    for split in masks:
        check_levels(split, masks[split], resolved, lossy=bool(lossy), is_mapped=class_map is not None)
    findings += value_findings({mask: content.counts for mask, content in contents.items()}, resolved)
    if classes is None and class_map is None:
        findings += undeclared_void(masks["train"], resolved)
    elif resolved.levels is None and (class_map is None or class_map.coloured):
        findings += Finding.of("mask-lossy", lossy)
    class_values = list(resolved.table.classes)
    splits = {
        split: MaskedImages(
            [image for image, _ in read],
            [mask for _, mask in read],
            numpy.array([bool(numpy.isin(content.counts.values, class_values).any()) for content in read.values()]),
        )
        for split, read in readable.items()
    }
    return ParsedMasks(root, splits, resolved.names, findings, notes=resolved.notes, classes=resolved)


def _read_split(
    source: FileSource,
    root: Path,
    split: str,
    pairs: Sequence[Pair],
    findings: list[Finding],
    class_map: ClassMap | None,
    cache: MaskCache,
) -> dict[Pair, _PairContent]:
    """The contents of the masks of a split that can be used; others become findings.

    Raises:
        UserError: If there is none.
    """
    contents = _read_all(root, pairs, class_map, cache, split=split, max_pixels=source.max_pixels)
    problems = dict.fromkeys(content.problem for content in contents if content.problem)
    dropped = [
        finding
        for problem in problems
        for finding in Finding.of(problem, [content.location for content in contents if content.problem == problem])
    ]
    findings += dropped
    readable = {pair: content for pair, content in zip(pairs, contents, strict=True) if not content.problem}
    if not readable:
        raise UserError(
            f"dataset.masks: nothing is left of the {len(pairs)} images of {split}:"
            f"{''.join(f' {finding.note}. {finding.remedy_for(source.keys)}' for finding in dropped)}"
        )
    return readable


def _palette_doubts(source: FileSource, contents: Mapping[str, _PairContent], *, is_sure: bool) -> list[Finding]:
    """Findings on palettes that draw an id in several colours.

    Raises:
        UserError: If ids have no one meaning then.
    """
    palettes = {
        mask: (found.counts.values, found.palette) for mask, found in contents.items() if found.palette is not None
    }
    doubts = palette_findings(palettes, is_sure=is_sure)
    check_findings(doubts, dataset=source.name, keys=source.keys, strict=False)
    return doubts


_UNREADABLE = "mask-unreadable"
_TOO_LARGE = "image-too-large"
_SIZES = "mask-size"
_COLOURED = "mask-coloured"
_INDEXED = "mask-indexed"
_MAX_UNKNOWN = 1000
_MIN_SHOWN = 2_000
_GREY = encode_colour(1, 1, 1)
_NO_VALUES = ValueCounts(*(numpy.zeros(0, numpy.int64) for _ in range(3)))


@dataclass(frozen=True)
class _PairContent:
    """The values of a pair's mask and what its file says of them, or a problem and its location."""

    counts: ValueCounts = _NO_VALUES
    is_lossy: bool = False
    palette: NDArray[Any] | None = None
    problem: str = ""
    location: str = ""


def _read_all(
    root: Path, pairs: Sequence[Pair], class_map: ClassMap | None, cache: MaskCache, *, split: str, max_pixels: int
) -> list[_PairContent]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        contents = pool.map(lambda pair: _read_pair(root, pair, class_map, cache, max_pixels), pairs)
        return list(_showing_progress(contents, len(pairs), f"reading {len(pairs):,} masks of {split}"))


def _showing_progress(contents: Iterable[_PairContent], total: int, text: str) -> Iterable[_PairContent]:
    """Pass contents on; where reading them takes long, say so on standard error, in a terminal with a bar."""
    if total < _MIN_SHOWN or not is_first_process():
        return contents
    from rich.progress import track

    console = PipeSafeConsole(stderr=True)
    if console.is_terminal:
        return track(contents, text, total=total, console=console, transient=True)
    console.print(f"{text} ...", soft_wrap=True)
    return contents


def _read_pair(root: Path, pair: Pair, class_map: ClassMap | None, cache: MaskCache, max_pixels: int) -> _PairContent:
    image, mask = pair
    colours = class_map.names if class_map is not None and class_map.coloured else None
    coloured = colours is not None
    try:
        header = read_header(root / image)
        contents = cache.read(mask, max_pixels=max_pixels)
        mask_size = contents.size
        if mask_size not in (header.size, header.stored):  # a photo with a mask of the stored pixels is read unturned
            height, width = header.size
            found = f"{mask_size[1]}x{mask_size[0]}"
            location = f"{mask} is {found}, {image} {width}x{height} (width x height)"
            return _PairContent(problem=_SIZES, location=location)
    except UserError as error:
        is_large = isinstance(error, ImageError) and error.code == _TOO_LARGE
        return _PairContent(problem=_TOO_LARGE if is_large else _UNREADABLE, location=f"{mask} ({error})")
    counts = contents.counts
    if colours is not None and not contents.is_coloured:
        greys = counts.values * _GREY  # a mask in which only black is used may be saved as a grey image
        if not all(value in colours for value in greys.tolist()):
            return _PairContent(problem=_INDEXED, location=f"{mask} ({_examples(counts, coloured=False)})")
        counts = ValueCounts(greys, counts.pixels, counts.solid)
    elif colours is not None:
        counts = _without_rare(counts, colours)
    elif contents.is_coloured and not coloured:
        return _PairContent(problem=_COLOURED, location=f"{mask} ({_examples(counts, coloured=True)})")
    return _PairContent(counts, contents.is_lossy, None if coloured else contents.palette)


def _without_rare(counts: ValueCounts, colours: Collection[int]) -> ValueCounts:
    """The colours of classes and the most frequent others, of which a mask saved as JPEG has 100,000."""
    is_known = numpy.isin(counts.values, list(colours))
    others = numpy.flatnonzero(~is_known)
    rows = others[(-counts.pixels[others]).argsort(kind="stable")[:_MAX_UNKNOWN]]
    keep = numpy.sort(numpy.concatenate([numpy.flatnonzero(is_known), rows]))
    return counts.select(keep)


def _examples(counts: ValueCounts, *, coloured: bool) -> str:
    return f"values {describe_values(counts.values[:4].tolist(), coloured=coloured)}"
