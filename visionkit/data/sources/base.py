"""The base class of data sets: settings, classes, and the samples of each split.

A source is a frozen dataclass whose fields are the schema of ``conf/dataset/NAME.yaml``. Its module loads without
torch, scikit-learn and Pillow, which are imported inside the methods that need them::

    @SOURCES.register("my_set")
    @dataclass(frozen=True, kw_only=True)
    class MySet(Source):
        root: str

        def info(self): return self.describe(("cat", "dog"), in_channels=3)
        def splits(self, *, seed, saved=None, strict=False): return Splits({"train": ..., "val": ...})
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from visionkit.data.augment.parsing import Augments, check_targets
from visionkit.data.augment.preset_choice import ChosenAugments, choose_augments
from visionkit.data.augment.presets import AugmentPreset
from visionkit.errors import UserError, plural
from visionkit.normalization import default_mean_std
from visionkit.registry import Registry, Row
from visionkit.sizes import ImageSize

if TYPE_CHECKING:
    from visionkit.data.dataset import ImageDataset
    from visionkit.data.findings import Finding
    from visionkit.data.images import ImageReader
    from visionkit.data.transforms import InputTransform

__all__ = ["SOURCES", "DataInfo", "Source", "Splits"]


@dataclass(frozen=True)
class DataInfo:
    """The properties of a data set that models and reports need, available before any image is read.

    Attributes:
        name: The data set's name.
        class_names: One per class, in the order of the class ids.
        in_channels: The number of channels: 1 for grey images, 3 for colour, up to 16 for others.
        image_size: Height and width of a batch, in pixels.
        mean: Per channel, for pixels scaled to 0..1.
        std: Per channel, for pixels scaled to 0..1.
        category_ids: The id of each class in the data set's files; None if they have none.
    """

    name: str
    class_names: tuple[str, ...]
    in_channels: int
    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    category_ids: tuple[int | str, ...] | None = None

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


@dataclass(frozen=True)
class Splits:
    """The samples of each split; splits are disjoint.

    Attributes:
        samples: ``"train"``, ``"val"`` and, if there is a test split, ``"test"``.
        saved: The names of each split's samples, which reproduce a random split, as JSON values; None if the data
            set's files or the settings alone determine the splits.
        notes: Messages for the user on what was held out, and those of the findings.
        findings: What was dropped, repaired or is doubtful.
        value_range: The values of images of more than 8 bits or of floats that become 0 and 255; None for 8 bits.
    """

    samples: dict[str, ImageDataset]
    saved: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    findings: Sequence[Finding] = ()
    value_range: tuple[float, float] | None = None


MAX_WORKERS = 1024
"""More processes than any machine can use to read images."""


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A data set, and how its images are resized and augmented.

    Attributes:
        image_size: Side of a square, or ``[height, width]``, in pixels; null takes ``default_image_size``.
        augment: Augmentations of training images in order, ``{name: {argument: value}}``; names with a null value are
            skipped. See `visionkit.data.augment.spec`. Or a word, see `visionkit.data.augment.presets`.
        num_workers: The number of worker processes; null chooses, see `visionkit.data.workers.choose_num_workers`.
        cache_mb: The memory for decoded images, in MiB; images that do not fit are decoded again each epoch.
        mean: Per channel, for pixels scaled to 0..1; null takes `visionkit.normalization.default_mean_std`.
        std: As ``mean``.
        balance: Whether training draws classes alike, instead of images; see `visionkit.data.sampler.BatchSampler`.
        targets: The kinds of target that the data set provides: ``label``, ``label_set``, ``boxes``,
            ``instances``, ``mask``.
        has_directions: Whether a mirrored or turned image may be of another class, as of digits.
        default_image_size: The side of a square, in pixels, if ``image_size`` is null; None makes it required.
    """

    image_size: ImageSize | None
    augment: Augments
    num_workers: Annotated[int, Field(ge=0, le=MAX_WORKERS)] | None
    cache_mb: Annotated[int, Field(ge=0, le=2**30)]
    mean: tuple[Annotated[float, Field(ge=-1_000_000, le=1_000_000)], ...] | None
    std: tuple[Annotated[float, Field(gt=0, le=1_000_000)], ...] | None
    balance: bool

    targets: ClassVar[frozenset[str]] = frozenset({"label"})
    has_directions: ClassVar[bool] = False
    default_image_size: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if self.image_size is None and self.default_image_size is None:
            raise UserError(
                "dataset.image_size: expected a whole number or [height, width], found nothing (null). "
                "Try: dataset.image_size=224"
            )
        check_targets(self.augment, where="dataset.augment", targets=self.targets)

    @property
    def name(self) -> str:
        """The name under which the source is registered."""
        return SOURCES.name_of(type(self))

    @property
    def keys(self) -> frozenset[str]:
        """The names of the settings of the data set."""
        return frozenset(setting.name for setting in fields(self))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a batch, in pixels."""
        size = self.image_size or self.default_image_size or 0
        return (size, size) if isinstance(size, int) else size

    def for_target(self, target: str) -> Source:
        """The source for one kind of target, which may have other images.

        Args:
            target: One of ``targets``.
        """
        return self

    def check_balance(self, target: str) -> None:
        """Check that images have one class each, where training is to draw classes alike.

        Raises:
            UserError: If ``balance`` is set and the targets are other than labels.
        """
        if self.balance and target != "label":
            raise UserError(
                f"dataset.balance: expected false, found true: an image with {plural(target)} may show several "
                "classes, so that they cannot be drawn alike. It is for task=classify. Try: dataset.balance=false"
            )

    def choose_augments(self, target: str, *, num_images: int) -> ChosenAugments:
        """The augmentations for a kind of target and so many training images."""
        if not isinstance(self.augment, AugmentPreset):
            return ChosenAugments("", self.augment)
        in_channels, has_directions = self.info().in_channels, self.has_directions
        return choose_augments(
            self.augment, target, num_images=num_images, in_channels=in_channels, has_directions=has_directions
        )

    def with_value_range(self, value_range: Sequence[float] | None) -> Source:
        """The source for a model that was trained with this range of values, the content of a run's ``data.json``."""
        return self

    def without_contents(self) -> Source:
        """The source for a try-out, which does not read files to find copies of them in two splits."""
        return self

    def check(self, *, strict: bool = False) -> None:
        """Check quickly, and without torch, that the files are present.

        Args:
            strict: Whether an empty class folder is an error.

        Raises:
            UserError: If something is missing; the message says how to fix it.
        """
        self.info()

    def prepare(self) -> None:  # noqa: B027 - most sources have nothing to fetch
        """Download missing files, if the user allowed it. Called by one process per machine.

        Raises:
            UserError: If the download fails.
        """

    @abstractmethod
    def info(self) -> DataInfo:
        """Names, sizes and normalisation.

        Raises:
            UserError: If the classes are read from files, and these are invalid.
        """

    @abstractmethod
    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        """The samples of each split.

        Args:
            seed: The seed of random splits, unless the settings have one.
            saved: The ``Splits.saved`` of an earlier call, to restore these splits whatever the seed.
            strict: Whether invalid data are an error instead of a note.

        Raises:
            UserError: If the data are missing, invalid or too few.
        """

    def input_transform(self) -> InputTransform:
        """The resizing of decoded images to ``image_size``, for training, evaluation and prediction."""
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, "resize")

    def image_ids(self, paths: Sequence[Path]) -> Mapping[Path, int | str]:
        """The id of each image in the data set's files, for those of ``paths`` that have one."""
        return {}

    def image_reader(self, in_channels: int, *, value_range: tuple[float, float] | None = None) -> ImageReader:
        """How a person's image files are read for a model that was trained on this data set.

        Args:
            in_channels: The number of channels of the model's images.
            value_range: As `visionkit.data.images.ImageReader`.
        """
        from visionkit.data.images import MAX_PIXELS, ImageReader

        return ImageReader(in_channels, value_range, MAX_PIXELS)

    def describe(
        self, class_names: tuple[str, ...], *, in_channels: int, category_ids: tuple[int | str, ...] | None = None
    ) -> DataInfo:
        """A `DataInfo` with this source's size and normalisation.

        Raises:
            UserError: If the number of values in ``mean`` or ``std`` is not ``in_channels``.
        """
        default_mean, default_std = default_mean_std(in_channels)
        mean, std = self.mean or default_mean, self.std or default_std
        for key, values in (("mean", mean), ("std", std)):
            if len(values) != in_channels:
                raise UserError(
                    f"dataset.{key}: expected {in_channels} value(s), one per channel, found {list(values)}. "
                    f"Try: dataset.{key}=null"
                )
        return DataInfo(self.name, class_names, in_channels, self.size, tuple(mean), tuple(std), category_ids)


_PACKAGE = "visionkit.data.sources"

SOURCES: Registry[Source] = Registry(
    "dataset",
    {
        "ade20k": Row(f"{_PACKAGE}.ade20k.source:Ade20k"),
        "cifar10": Row(f"{_PACKAGE}.torchvision.source:Cifar10"),
        "cifar100": Row(f"{_PACKAGE}.torchvision.source:Cifar100"),
        "cityscapes": Row(f"{_PACKAGE}.cityscapes.source:Cityscapes"),
        "coco": Row(f"{_PACKAGE}.coco.source:Coco"),
        "digits": Row(f"{_PACKAGE}.digits.source:Digits"),
        "fashion_mnist": Row(f"{_PACKAGE}.torchvision.source:FashionMnist"),
        "folder": Row(f"{_PACKAGE}.folder.source:Folder"),
        "imagenet": Row(f"{_PACKAGE}.imagenet.source:ImageNet"),
        "masks": Row(f"{_PACKAGE}.masks.source:Masks"),
        "mnist": Row(f"{_PACKAGE}.torchvision.source:Mnist"),
        "python": Row(f"{_PACKAGE}.python.source:PythonData"),
        "table": Row(f"{_PACKAGE}.table.source:Table"),
        "voc": Row(f"{_PACKAGE}.voc.source:Voc"),
        "yolo": Row(f"{_PACKAGE}.yolo.source:Yolo"),
    },
)
