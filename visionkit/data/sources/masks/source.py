"""Images with a mask file each, whose pixel values are classes.

Three layouts are supported; other names of ``images`` and ``masks`` can be set in the configuration::

    root/images/{train,val,test}/NAME.jpg  root/masks/{train,val,test}/NAME.png   as they are
    root/{train,val,test}/images/NAME.jpg  root/{train,val,test}/masks/NAME.png   as they are
    root/images/NAME.jpg  root/masks/NAME.png                                     random splits, which are saved

So are ``root/{train,val,test}_images/`` and ``_masks/``, CamVid's ``train`` and ``trainannot``, nnU-Net's ``imagesTr``
and ``labelsTr``, and each of these in the only folder of the root.
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
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.label_file import LabelFile
from visionkit.data.sources.masks.layout import MaskFolders
from visionkit.data.sources.masks.pairing import pair_files
from visionkit.data.sources.masks.pairs import MaskedImages, ParsedMasks, read_pairs
from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_files import SplitFiles, SplitPaths
from visionkit.data.sources.split_names import SPLIT_NAMES
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.dataset import FileDataset

__all__ = ["MaskSource", "Masks"]

_Id = Annotated[int, Field(ge=0, lt=1 << 16)]


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
                r"without a class: 'dataset.class_map={224\,224\,192: null}'. Try: dataset.ignore=null"
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
        folders = self._folders(root, findings)
        pairs = {
            split: pair_files(lists, images, masks, findings, mask_suffix=self.mask_suffix)
            for split, (images, masks) in folders.items()
        }
        findings += lists.findings()
        class_map = self._parsed_class_map
        parsed = read_pairs(
            self,
            root,
            pairs,
            findings,
            classes=self.classes,
            class_map=class_map,
            ignore=self._ignored,
            ids_are_sure=class_map is not None,
            label_file=None if self.classes or class_map else LabelFile.read((root / folders["train"][0]).parent),
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
        return MaskFolders(root, findings, self.allow_overlap, self.expected).find(self.images, self.masks)

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
