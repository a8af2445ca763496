"""The 1,797 handwritten digits that scikit-learn ships: real data without any download.

Single digits for classification; scenes composed of them for boxes and masks. A split's scenes have only digits of
that split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from visionkit.config_files import read_group_file
from visionkit.data.augment.parsing import check_targets, parse_augments
from visionkit.data.augment.presets import AugmentPreset
from visionkit.data.sources.base import DataInfo, Source, Splits
from visionkit.data.sources.digits.scene_settings import SCENE_SIZES, Scenes
from visionkit.data.splitting import hold_out
from visionkit.errors import UserError
from visionkit.structures.class_ids import BACKGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visionkit.data.transforms import InputTransform

__all__ = ["DigitScenes", "Digits"]


@dataclass(frozen=True, kw_only=True)
class SplitDigits(Source):
    """8x8 grey digits (Alpaydin & Kaynak 1998, UCI), values 0..16 stretched to 0..255, in splits.

    Attributes:
        split_seed: The seed of the stratified splits, not the run's, so that runs with different seeds are comparable.
        val_fraction: The fraction of the samples for validation.
        test_fraction: The fraction for test.
        scenes: The settings of the scenes, for boxes and masks.
    """

    split_seed: Annotated[int, Field(ge=0, lt=2**32)]
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    scenes: Scenes

    has_directions: ClassVar[bool] = True

    def load_digits_with_splits(self) -> tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]]]:
        """Images, uint8 (1797, 8, 8), labels, int64 (1797,), and the positions of each split's samples, int64."""
        import numpy
        from sklearn.datasets import load_digits

        bunch = load_digits()
        parts = {
            "test": round(self.test_fraction * len(bunch.target)),
            "val": round(self.val_fraction * len(bunch.target)),
        }
        pixels = numpy.rint(bunch.images * (255 / 16)).astype(numpy.uint8)
        return pixels, bunch.target.astype(numpy.int64), hold_out(bunch.target, parts, seed=self.split_seed)


@dataclass(frozen=True, kw_only=True)
class DigitScenes(SplitDigits):
    """Grey scenes of digits on a dark background.

    Attributes:
        target: ``boxes``; ``instances``, boxes and masks of the visible pixels of each digit; ``mask``, class masks.
        dataset_name: The data set's name in the configuration.
    """

    target: str
    dataset_name: str

    targets: ClassVar[frozenset[str]] = frozenset(SCENE_SIZES)

    @property
    def name(self) -> str:
        return self.dataset_name

    def check(self, *, strict: bool = False) -> None:
        self.info()
        smallest = self.scenes.digit_size[0] * min(self.size)
        if smallest < 8:
            least = -(-8 // self.scenes.digit_size[0])
            raise UserError(
                f"dataset.image_size: in scenes of {self.size[0]}x{self.size[1]} the smallest digits are "
                f"{smallest:.1f} pixels high, too few to be read. Expected 8 or more. "
                f"Try: dataset.image_size={least:.0f}"
            )

    def info(self) -> DataInfo:
        names = tuple(str(digit) for digit in range(10))
        return self.describe((BACKGROUND, *names) if self.target == "mask" else names, in_channels=1)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, "letterbox")

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        from visionkit.data.sources.digits.scenes import compose_split

        self.check()
        pixels, digits, chosen = self.load_digits_with_splits()
        return Splits(
            {
                split: compose_split(
                    pixels[chosen[split]],
                    digits[chosen[split]],
                    self.scenes,
                    split=split,
                    size=self.size,
                    target=self.target,
                )
                for split in ("train", "val", "test")
            }
        )


@dataclass(frozen=True, kw_only=True)
class Digits(SplitDigits):
    """Single digits, enlarged to ``image_size``; for boxes and masks scenes of them."""

    targets: ClassVar[frozenset[str]] = frozenset({"label", *SCENE_SIZES})
    default_image_size: ClassVar[int | None] = 32

    def for_target(self, target: str) -> Source:
        """The source for one kind of target.

        Raises:
            UserError: If scenes are seen, and an augmentation, mean or std of single digits is set.
        """
        if target not in SCENE_SIZES:
            return self
        scenes = self.scenes
        if isinstance(self.augment, AugmentPreset):
            scenes = replace(scenes, augment=self.augment)
        file = read_group_file("dataset", "digits")
        file |= {"augment": parse_augments(file["augment"], where="dataset.augment")}
        for key in ("augment", "mean", "std"):
            value = getattr(self, key)
            if isinstance(value, AugmentPreset):
                continue
            if value != (tuple(file[key]) if isinstance(value, tuple) else file[key]):
                raise UserError(
                    f"dataset.{key}: it is set, but belongs to single digits, and this task sees scenes of them. "
                    f"Try: dataset.scenes.{key}=..."
                )
        check_targets(scenes.augment, where="dataset.scenes.augment", targets=(target,))
        settings = {field.name: getattr(self, field.name) for field in fields(SplitDigits)}
        settings |= {name: getattr(scenes, name) for name in ("augment", "mean", "std")}
        settings["image_size"] = self.image_size or SCENE_SIZES[target]
        return DigitScenes(**settings, target=target, dataset_name=self.name)

    def info(self) -> DataInfo:
        return self.describe(tuple(str(digit) for digit in range(10)), in_channels=1)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        import torch

        from visionkit.data.dataset import ImageDataset, TensorDataset

        pixels, digits, chosen = self.load_digits_with_splits()
        images, labels = torch.from_numpy(pixels)[:, None], torch.from_numpy(digits)  # (1797, 1, 8, 8)
        samples: dict[str, ImageDataset] = {
            split: TensorDataset(images, labels, torch.from_numpy(chosen[split]), prefix="digits")
            for split in ("train", "val", "test")
        }
        return Splits(samples)
