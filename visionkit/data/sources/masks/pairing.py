"""Pairing images with the mask files of their names; files without a partner are reported as findings."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.same_names import match_names
from visionkit.data.sources.split_names import FILL_VAL, split_of
from visionkit.errors import UserError

__all__ = ["Pair", "pair_files"]

Pair = tuple[str, str]
"""The names of an image and of its mask, relative to the root."""

_FIRST_CHANNEL = "_0000"
_CHANNEL = re.compile(r"_\d{4}$")


def pair_files(
    lists: ImageLists,
    images: str,
    masks: str,
    findings: list[Finding],
    *,
    mask_suffix: str = "",
    image_suffix: str = "",
) -> list[Pair]:
    """Pair the images below one folder with the masks of the same name below another.

    Args:
        lists: Lists the images and masks.
        images: The folder of the images, relative to the root.
        masks: The folder of the masks, relative to the root.
        findings: A list to which files without a partner are appended.
        mask_suffix: What the names of masks append, such as ``_mask``; files without it are left out.
        image_suffix: What the names of images append, likewise.

    Raises:
        UserError: If a folder is empty, or there is no pair.
    """
    root = lists.root
    image_files, mask_files = lists.stems(images, findings), lists.stems(masks, findings)
    for folder, files, kind in ((images, image_files, "images"), (masks, mask_files, "masks")):
        if not files:
            details = "".join(f" {finding.note}. {finding.remedy}" for finding in lists.findings())
            advice = f" {FILL_VAL}" if "val" in map(split_of, folder.split("/")) else ""
            raise UserError(
                f"dataset.{kind}: no {kind} in '{root / folder}'. Expected image files there.{details}{advice}"
            )
    masks_by_stem, images_by_stem = (
        {stem.removesuffix(suffix): name for stem, name in files.items() if stem.endswith(suffix)}
        for files, suffix in ((mask_files, mask_suffix), (image_files, image_suffix))
    )
    images_by_stem = _without_channel(images_by_stem, masks_by_stem, root / images)
    partner, other_case = match_names(images_by_stem, masks_by_stem)
    if not partner:
        raise UserError(
            f"dataset.masks: none of the {len(image_files)} images in '{root / images}' has a mask of its own name in "
            f"'{root / masks}': found the image '{next(iter(image_files.values()))}' and the mask "
            f"'{next(iter(mask_files.values()))}'. Expected the same names, but for the ending; what masks have "
            "more is said by dataset.mask_suffix=_mask"
        )
    findings += Finding.of(
        "name-other-case", [f"{images_by_stem[s]} and {masks_by_stem[partner[s]]}" for s in other_case]
    )
    paired = set(partner.values())
    findings += Finding.of("mask-missing", [name for stem, name in images_by_stem.items() if stem not in partner])
    findings += Finding.of("mask-orphan", [name for stem, name in masks_by_stem.items() if stem not in paired])
    return [(images_by_stem[stem], masks_by_stem[mask_stem]) for stem, mask_stem in partner.items()]


def _without_channel(images: dict[str, str], masks: Collection[str], folder: Path) -> dict[str, str]:
    """The images by the stems of their masks, where all have the ``_0000`` of nnU-Net for their only channel.

    Raises:
        UserError: If each has several channels in files of their own.
    """
    bare = {stem: _CHANNEL.sub("", stem) for stem in images}
    if any(stem in masks or stem == name for stem, name in bare.items()) or not any(n in masks for n in bare.values()):
        return images
    other = next((stem for stem in images if not stem.endswith(_FIRST_CHANNEL)), None)
    if other is not None:
        raise UserError(
            f"dataset.images: the images in '{folder}' have each channel in a file of its own, such as "
            f"'{images[other]}', as nnU-Net writes them. Expected one file per image. Write the channels of each image "
            "into one TIFF or .npy file, or keep those of one channel, which end in _0000"
        )
    return {bare[stem]: path for stem, path in images.items()}
