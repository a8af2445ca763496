"""What every data set says about itself: its settings, its classes, and its samples per split.

A source is a frozen dataclass without torch: its fields are the schema of ``conf/dataset/NAME.yaml``.
Whatever needs torch, scikit-learn or Pillow is imported inside the methods that need it::

    @SOURCES.register("my_set")
    @dataclass(frozen=True, kw_only=True)
    class MySet(Source):
        root: str

        def info(self): return self.describe(("cat", "dog"), in_channels=3)
        def splits(self, *, seed, saved=None, strict=False): return Splits({"train": ..., "val": ...})
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from visionkit.data.augment.table import check_augment
from visionkit.errors import UserError
from visionkit.normalization import default_mean_std
from visionkit.registry import Registry, Row

if TYPE_CHECKING:
    from visionkit.data.dataset import ImageDataset
    from visionkit.data.transforms import InputTransform

__all__ = ["SOURCES", "DataInfo", "Source", "Splits", "existing_root"]


@dataclass(frozen=True)
class DataInfo:
    """What models and reports need to know of a data set before any image is read.

    Attributes:
        name: The data set's name.
        class_names: One per class, in the order of the class ids.
        in_channels: 1 for grey images, 3 for colour.
        image_size: Height and width of a batch, in pixels.
        mean: Per channel, on the scale where a white pixel is 1.
        std: Per channel, on the same scale.
        category_ids: For each class the number that the data set's own files know it by, where they do.
    """

    name: str
    class_names: tuple[str, ...]
    in_channels: int
    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    category_ids: tuple[int, ...] | None = None

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)


@dataclass(frozen=True)
class Splits:
    """The samples of each split, disjoint.

    Attributes:
        samples: ``"train"`` and ``"val"``, and ``"test"`` where there is one.
        saved: What reproduces a division which the source made by itself, as plain lists and words; None where
            the data set came divided or the division follows from the settings alone.
        notes: What a person should know: what was held out, what was dropped.
    """

    samples: dict[str, ImageDataset]
    saved: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A data set and how its images are brought to one size.

    Attributes:
        image_size: Side of a square, or ``[height, width]``, in pixels; null takes the data set's own, if it has one.
        augment: Random changes of training images in order, ``{name: {argument: value}}``; a name whose value is
            null is left out. See `visionkit.data.augment.image`.
        num_workers: Processes that prepare batches; null chooses (none where the data lies in memory).
        cache_mb: Images are decoded once and kept in memory where they fit into so many MiB.
        mean: Per channel on the 0..1 scale; null takes the data set's own.
        std: As ``mean``.
    """

    image_size: Annotated[int, Field(gt=0)] | tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None
    augment: dict[str, dict[str, Any] | None] | None = field(default_factory=dict)
    num_workers: Annotated[int, Field(ge=0)] | None = None
    cache_mb: Annotated[int, Field(ge=0)] = 2048
    mean: tuple[float, ...] | None = None
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None

    targets: ClassVar[frozenset[str]] = frozenset({"label"})
    default_image_size: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if self.image_size is None and self.default_image_size is None:
            raise UserError(
                "dataset.image_size: expected a whole number or [height, width], found nothing (null). "
                "Try: dataset.image_size=224"
            )
        check_augment(self.augment or {}, where="dataset.augment", targets=self.targets)

    @property
    def name(self) -> str:
        """The name under which the source is registered."""
        return SOURCES.name_of(type(self))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a batch, in pixels."""
        size = self.image_size or self.default_image_size or 0
        return (size, size) if isinstance(size, int) else size

    def for_target(self, target: str) -> Source:
        """The source that gives one kind of target; another one where the images themselves differ.

        Args:
            target: One of ``gives``.
        """
        return self

    def check(self, *, strict: bool = False) -> None:
        """Look, without torch and within a moment, whether the files are where they should be.

        Args:
            strict: Whether an empty class folder is an error.

        Raises:
            UserError: If something is missing; the message says what to type.
        """
        self.info()

    def prepare(self) -> None:  # noqa: B027 - most sources have nothing to fetch
        """Fetch what is missing, where the user allowed it. Called by one process per machine.

        Raises:
            UserError: If it cannot be fetched.
        """

    @abstractmethod
    def info(self) -> DataInfo:
        """Names, sizes and normalisation.

        Raises:
            UserError: If the classes are read from a folder that is not as it should be.
        """

    @abstractmethod
    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        """The samples, divided.

        Args:
            seed: Of a random division, where the settings fix none.
            saved: The ``Splits.saved`` of an earlier call; the same division is made again, whatever the seed.
            strict: Whether something broken is an error instead of a note.

        Raises:
            UserError: If the data are missing, broken or too few.
        """

    def input_transform(self) -> InputTransform:
        """The deterministic way from a decoded image to one of ``image_size``, for evaluation and prediction."""
        from visionkit.data.transforms import InputTransform

        return InputTransform(self.size, "resize")

    def describe(
        self, class_names: tuple[str, ...], *, in_channels: int, category_ids: tuple[int, ...] | None = None
    ) -> DataInfo:
        """A `DataInfo` with this source's size and normalisation.

        Raises:
            UserError: If ``mean`` or ``std`` has not one value per channel.
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


_HERE = "visionkit.data.sources"

SOURCES: Registry[Source] = Registry(
    "dataset",
    {
        "cifar10": Row(f"{_HERE}.torchvision.source:Cifar10"),
        "cifar100": Row(f"{_HERE}.torchvision.source:Cifar100"),
        "coco": Row(f"{_HERE}.coco.source:Coco"),
        "digits": Row(f"{_HERE}.digits.source:Digits"),
        "fashion_mnist": Row(f"{_HERE}.torchvision.source:FashionMnist"),
        "folder": Row(f"{_HERE}.folder.source:Folder"),
        "imagenet": Row(f"{_HERE}.imagenet.source:ImageNet"),
        "masks": Row(f"{_HERE}.masks.source:Masks"),
        "mnist": Row(f"{_HERE}.torchvision.source:Mnist"),
        "voc": Row(f"{_HERE}.voc.source:Voc"),
        "yolo": Row(f"{_HERE}.yolo.source:Yolo"),
    },
)


def existing_root(root: str | None, *, name: str, expected: str) -> Path:
    """The folder that ``dataset.root`` names.

    Args:
        root: What was given.
        name: The data set, for the message.
        expected: What the folder should hold, for the message.

    Raises:
        UserError: If none was given, or it does not exist, is a file or is empty.
    """
    if not root:
        raise UserError(
            f"dataset '{name}' needs the folder of its images, and dataset.root is not given. "
            f"Expected {expected}. Try: dataset.root=path/to/{name}"
        )
    path = Path(root).expanduser()
    if not path.exists():
        parent = path.absolute().parent
        hint = "" if parent.is_dir() else f" Its parent '{parent}' does not exist either."
        raise UserError(
            f"dataset.root: there is no folder '{root}' (looked in {Path.cwd()}).{hint} Expected {expected}. "
            f"Try: dataset.root=path/to/{name}"
        )
    if not path.is_dir():
        raise UserError(
            f"dataset.root: '{root}' is a file, not a folder. Expected {expected}. An archive must be unpacked first."
        )
    if next(path.iterdir(), None) is None:
        raise UserError(f"dataset.root: the folder '{root}' is empty. Expected {expected}.")
    return path
