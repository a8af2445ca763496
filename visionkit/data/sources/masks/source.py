"""Images with a mask file each, whose pixel values are classes.

Three layouts are supported; other names of ``images`` and ``masks`` can be set in the configuration::

    root/images/{train,val,test}/NAME.jpg  root/masks/{train,val,test}/NAME.png   as they are
    root/{train,val,test}/images/NAME.jpg  root/{train,val,test}/masks/NAME.png   as they are
    root/images/NAME.jpg  root/masks/NAME.png                                     random splits, which are saved

Without a val split, images are held out of train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from visionkit.data.findings import Finding
from visionkit.data.image_files import is_image_name
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.pairs import MaskedImages, ParsedMasks, pair_files, read_pairs
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_files import SplitFiles, SplitPaths
from visionkit.data.sources.split_names import SPLIT_NAMES, find_split_folders, folder_split, other_folders, sub_folders
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.dataset import FileDataset

__all__ = ["MaskSource", "Masks"]

_Id = Annotated[int, Field(ge=0, lt=1 << 16)]

_IMAGES = ("images", "Images", "imgs", "image", "img", "JPEGImages")
_MASKS = ("masks", "Masks", "mask", "labels", "annotations", "SegmentationClass")


@dataclass(frozen=True, kw_only=True)
class MaskSource(SplitFiles):
    """Image files, and a mask file for each; subclasses pair and read them."""

    targets: ClassVar[frozenset[str]] = frozenset({"mask"})

    def check_splits(self, splits: Mapping[str, MaskedImages], *, remedy: str) -> list[str]:
        """Check that train and val have pixels of classes: else nothing is learnt, or no epoch is the best.

        Returns:
            A note if test has none.

        Raises:
            UserError: If all pixels of train or of val are ignored.
        """
        for split in ("train", "val"):
            if not splits[split].has_class.any():
                raise UserError(
                    f"dataset '{self.name}': no pixel of any class in the {len(splits[split])} mask(s) of {split} in "
                    f"'{self.root}': all are ignored. Expected some in train and in val. {remedy}"
                )
        if "test" in splits and not splits["test"].has_class.any():
            return ["no pixel of any class in the masks of test: all are ignored, and nothing can be scored"]
        return []

    def make_dataset(self, parsed: Any, images: MaskedImages) -> FileDataset:
        from visionkit.data.class_masks import MaskFiles
        from visionkit.data.dataset import FileDataset

        masks = MaskFiles(parsed.root, images.masks, parsed.classes.table)
        return FileDataset(parsed.root, images.names, in_channels=self.in_channels, masks=masks)


@dataclass(frozen=True, kw_only=True)
class Masks(MaskSource):
    """Folders of images and of masks.

    Attributes:
        classes: The name of each id from 0, null if the id is ignored; with ``class_map``, the names in the order of
            the class ids. null takes those of the map, else the ids in the training masks; if nearly all pixels lie
            near two grey levels such as 0 and 255, the classes are background and foreground, see
            `visionkit.data.sources.masks.binary`.
        class_map: The class of each id (``{0: sky, 7: road}``), range of ids (``{0-127: ground, 128-255: thing}``) or
            colour (``{"128,64,128": road}``) in the masks, null if it is ignored; null takes the ids as they are.
        ignore: The id, or the ids, that are ignored, such as 255; null ignores none.
        images: The folder of the images, relative to ``root``, or one for each split; null searches for it.
        masks: The folder of the masks, or one for each split; null searches for it.
        mask_suffix: What the names of masks append to those of their images, such as ``_mask``.
    """

    classes: tuple[str | None, ...] | None
    class_map: dict[str, str | None] | None
    ignore: _Id | tuple[_Id, ...] | None
    images: str | SplitPaths | None
    masks: str | SplitPaths | None
    mask_suffix: str

    expected: ClassVar[str] = "images/ and masks/ with train/, val/ and test/ in each"

    def __post_init__(self) -> None:
        super().__post_init__()
        class_map, ignored = self._parsed_class_map, self._ignored
        if class_map is None or not ignored:
            return
        if class_map.coloured:
            raise UserError(
                f"dataset.ignore: {ignored[0]} is an id, but dataset.class_map names colours. Expected a colour there, "
                "without a class: dataset.class_map={'224,224,192': null}. Try: dataset.ignore=null"
            )
        named = next((value for value in ignored if class_map.names.get(value) is not None), None)
        if named is not None:
            raise UserError(
                f"dataset.ignore: the id {named} is ignored, but dataset.class_map calls it "
                f"'{class_map.names[named]}'. Expected one of the two. Try: dataset.ignore=null"
            )

    def read(self) -> ParsedMasks:
        root = existing_root(self.root, name=self.name, expected=self.expected)
        findings, lists = list[Finding](), ImageLists(root)
        pairs = {
            split: pair_files(lists, images, masks, findings, mask_suffix=self.mask_suffix)
            for split, (images, masks) in self._folders(root, findings).items()
        }
        findings += lists.findings()
        parsed = read_pairs(
            root,
            pairs,
            findings,
            classes=self.classes,
            class_map=self._parsed_class_map,
            ignore=self._ignored,
            keys=self.keys,
        )
        return replace(parsed, names_splits=isinstance(self.images, SplitPaths) or isinstance(self.masks, SplitPaths))

    @property
    def _ignored(self) -> tuple[int, ...]:
        return (self.ignore,) if isinstance(self.ignore, int) else self.ignore or ()

    @cached_property
    def _parsed_class_map(self) -> ClassMap | None:
        return ClassMap.parse(self.class_map) if self.class_map else None

    def _folders(self, root: Path, findings: list[Finding]) -> dict[str, tuple[str, str]]:
        """The folders of images and masks of each split, relative to the root; others beside them are findings."""
        if isinstance(self.images, SplitPaths) or isinstance(self.masks, SplitPaths):
            return self._configured_folders(root)
        images, masks = (
            _find_folder(root, given, names, key=key)
            for key, given, names in (("images", self.images, _IMAGES), ("masks", self.masks, _MASKS))
        )
        if images is None and masks is None:
            split_folders = find_split_folders(root, allow_overlap=self.allow_overlap)
            nested = {
                split: (
                    _find_folder(root / f, None, _IMAGES, key="images"),
                    _find_folder(root / f, None, _MASKS, key="masks"),
                )
                for split, f in split_folders.items()
            }
            if "train" in nested and all(image and mask for image, mask in nested.values()):
                findings += Finding.of("folder-no-split", other_folders(root, split_folders.values()))
                return {
                    split: (f"{split_folders[split]}/{a}", f"{split_folders[split]}/{b}")
                    for split, (a, b) in nested.items()
                }
        if images is None or masks is None:
            missing, names = ("images", _IMAGES) if images is None else ("masks", _MASKS)
            raise UserError(
                f"dataset.{missing}: no folder of {missing} in '{root}': looked for {', '.join(names)}. "
                f"Expected {self.expected}. Say where they are: dataset.{missing}=folder"
            )
        return self._splits_in(root, images, masks, findings)

    def _splits_in(self, root: Path, images: str, masks: str, findings: list[Finding]) -> dict[str, tuple[str, str]]:
        """The folders of splits inside those of images and masks; only ``train`` if there are none.

        Raises:
            UserError: If a split has only images or only masks, or there are splits without train.
        """
        findings += Finding.of("split-not-read", list(filter(folder_split, sub_folders(root))))
        found = {base: find_split_folders(root / base, allow_overlap=self.allow_overlap) for base in (images, masks)}
        for base, other in ((images, masks), (masks, images)):
            unpaired = next((split for split in found[base] if split not in found[other]), None)
            if unpaired is not None:
                raise UserError(
                    f"dataset.root: there is a folder '{base}/{found[base][unpaired]}', but no such folder in "
                    f"'{root / other}'. Expected {unpaired} in both."
                )
        if not found[images]:
            return {"train": (images, masks)}
        if "train" not in found[images]:
            raise UserError(
                f"dataset.root: '{root / images}' has {' and '.join(found[images])}, but no train. Expected a folder "
                "train, or no folders at all."
            )
        others = [f"{base}/{name}" for base in found for name in other_folders(root / base, found[base].values())]
        findings += Finding.of("folder-no-split", others)
        loose = [f"{images}/{path.name}" for path in (root / images).iterdir() if is_image_name(path.name)]
        findings += Finding.of("image-no-split", sorted(loose))
        return {split: (f"{images}/{name}", f"{masks}/{found[masks][split]}") for split, name in found[images].items()}

    def _configured_folders(self, root: Path) -> dict[str, tuple[str, str]]:
        folders: dict[str, tuple[str, str]] = {}
        for split in SPLIT_NAMES:
            pair = tuple(
                getattr(paths, split) if isinstance(paths, SplitPaths) else None for paths in (self.images, self.masks)
            )
            if pair == (None, None) and split != "train":
                continue
            for key, path in zip(("images", "masks"), pair, strict=True):
                if path is None or not (root / path).is_dir():
                    raise UserError(
                        f"dataset.{key}.{split}: there is no folder '{path or ''}' in '{root}'. Expected one for "
                        "images and one for masks of each split."
                    )
            folders[split] = (str(pair[0]), str(pair[1]))
        return folders


def _find_folder(root: Path, given: str | None, names: tuple[str, ...], *, key: str) -> str | None:
    """The folder of all images or of all masks, relative to the root; None if there is none.

    Raises:
        UserError: If the folder is given but does not exist.
    """
    if given is None:
        return next((name for name in names if (root / name).is_dir()), None)
    if not (root / given).is_dir():
        raise UserError(
            f"dataset.{key}: there is no folder '{given}' in '{root}'. Expected the folder of the {key}, relative to "
            f"dataset.root. Try: dataset.{key}={names[0]}"
        )
    return given
