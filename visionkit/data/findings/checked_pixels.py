"""Findings of ``check`` on what pictures show; what is much, dark or blurred is so beside the others of the set."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["CHECKED_PIXELS"]

_LOOK = "Look at them, and remove those that nothing can be learnt from."

CHECKED_PIXELS: Mapping[str, FindingKind] = {
    "pixels-unreadable": FindingKind(
        severity="warning", text="image(s) whose pixels cannot be decoded, which a training leaves out",
        remedy="Replace or remove them.",
        why="The header is whole, and what follows is not.",
    ),
    "pixels-broken": FindingKind(
        severity="warning", text="JPEG file(s) of which a part seems to be missing or overwritten",
        remedy="Look at them, and replace those that are broken.",
        why="Decoders go on after broken data: the rest of the picture is grey, or shifted in colour and place, and no "
        "error is raised.",
    ),
    "image-exif": FindingKind(
        severity="note", text="photo(s) that are turned by EXIF, as people see them",
        remedy="Nothing. Other programs may read them unturned.",
        why="Cameras store pictures as they are held, and note how to turn them.",
    ),
    "colours-mixed": FindingKind(
        severity="note", text="image(s) that are {kind}, among others that are {others}",
        remedy="Make all alike, if the colour says where an image comes from: dataset.in_channels=1",
        why="Where one class is grey and another in colour, a network learns that and nothing else.",
        otherwise="Make all alike, if the colour says where an image comes from.",
    ),
    "image-alpha": FindingKind(
        severity="note", text="image(s) with transparency, which is laid on black or dropped",
        remedy="Save them without it, on the background that they should have.",
        why="What lies behind transparent pixels is made up, and differs from program to program.",
    ),
    "image-cmyk": FindingKind(
        severity="note", text="image(s) in the inks of printers (CMYK)",
        remedy="Convert them to RGB with their colour profile.",
        why="Colours of inks are converted without the profile of the press, and look unlike others.",
    ),
    "image-palette": FindingKind(
        severity="note", text="image(s) with a palette of at most 256 colours",
        remedy="Nothing, unless others are photos in full colour: then use the originals.",
        why="Few colours leave steps in smooth areas, by which a network may tell classes apart.",
    ),
    "depths-mixed": FindingKind(
        severity="warning", text="image(s) of {kind}, among others of {others}",
        remedy="Save all images alike.",
        why="Images of one scene in two depths become unlike each other, and a network may tell classes by the depth.",
    ),
    "image-constant": FindingKind(
        severity="warning", text="image(s) of one colour",
        remedy="Replace or remove them.",
        why="A closed lens, a failed conversion, or a placeholder: nothing is to be seen in them.",
    ),
    "image-dark": FindingKind(
        severity="note", text="image(s) much darker than the others",
        remedy=_LOOK,
        why="Their mean lies more than five typical deviations below that of the set.",
    ),
    "image-bright": FindingKind(
        severity="note", text="image(s) much brighter than the others",
        remedy=_LOOK,
        why="Their mean lies more than five typical deviations above that of the set.",
    ),
    "image-blurred": FindingKind(
        severity="note", text="image(s) much less sharp than the others",
        remedy=_LOOK,
        why="Their edges (the variance of the Laplacian beside that of the picture) are weaker than those of the set "
        "by more than five typical deviations: out of focus, in motion, or enlarged.",
    ),
    "image-plain": FindingKind(
        severity="note", text="image(s) with much less to see than the others",
        remedy=_LOOK,
        why="The entropy of their grey values lies more than five typical deviations below that of the set.",
    ),
    "aspect-odd": FindingKind(
        severity="note", text="image(s) much wider or narrower than the others, by their sides",
        remedy="See how they are resized (dataset.fit), or cut them into parts.",
        why="Stretched to the size of the others their objects are deformed; padded they are small.",
        otherwise="Cut them into parts.",
    ),
    "size-odd": FindingKind(
        severity="note", text="image(s) much larger or smaller than the others",
        remedy="Look at them: thumbnails have little detail, and scans much more than is used.",
        why="Resized to one size their objects have another scale, or are blurred.",
    ),
    "image-tiny": FindingKind(
        severity="warning", text="image(s) with a side of fewer pixels than the network's coarsest stride, {stride}",
        remedy="Remove them, or use larger originals.",
        why="All that is in them falls into one cell of the last map.",
    ),
    "detail-lost": FindingKind(
        severity="note", text="image(s) of which {factor} times fewer pixels are left in each direction, by the median",
        remedy="See whether small things matter, and then take a larger dataset.image_size.",
        why="Images are reduced to dataset.image_size before the network sees them.",
    ),
}  # fmt: skip
