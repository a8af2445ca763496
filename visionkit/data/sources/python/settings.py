"""The settings of data sets that are Python objects, their classes, and the objects themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.data.augment.parsing import check_targets
from visionkit.data.sources.base import DataInfo, Source
from visionkit.data.sources.python.given import WHOLE, PythonObject, find_classes, separate
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.sources.python.targets import ItemTargets
    from visionkit.data.transforms import InputTransform

__all__ = ["PythonSettings"]

_BACKGROUNDS = ("background", "__background__")


@dataclass(frozen=True, kw_only=True)
class PythonSettings(Source):
    """Data sets that are Python objects, before an item is asked for.

    Attributes:
        objects: A text for each object, by split or as ``dataset``: what ``config.yaml`` says of it.
        class_names: One per class, in the order of the class ids; null takes the attribute ``classes`` of the data set,
            or for labels the numbers that occur.
        in_channels: 1 for grey images, 3 for colour, up to 16 for others.
        value_range: As `visionkit.data.sources.file_source.FileSource`; for null see
            `visionkit.data.sources.python.ranges`.
        fit: How images are resized, see `visionkit.data.transforms.InputTransform`; null takes ``resize`` for labels,
            else ``letterbox``.
        max_size: For ``resize_pad``, the longest side allowed, in pixels.
        ignore: The value of masks that is ignored.
        val_fraction: The fraction of train held out for validation if there is no val.
        test_fraction: The fraction held out for test of one data set; 0 makes no test split.
        split_seed: The seed of these random splits; null takes the run's seed.
        fold: As `visionkit.data.sources.file_source.FileSource`.
        folds: The number of folds.
        allow_overlap: Whether an image may be in two splits; else it is an error.
        target: The kind of target, set by `for_target`.
        datasets: The `PythonObject` of each split, set by `with_datasets`.
    """

    objects: dict[str, str] | None
    class_names: tuple[str, ...] | None
    in_channels: Annotated[int, Field(ge=1, le=16)]
    value_range: tuple[float, float] | None
    fit: Literal["resize", "letterbox", "resize_pad"] | None
    max_size: Annotated[int, Field(gt=0, le=65_536)] | None
    ignore: Annotated[int, Field(ge=0, lt=1 << 16)] | None
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)]
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] | None
    fold: Annotated[int, Field(ge=0, lt=1_000_000)] | None
    folds: Annotated[int, Field(ge=2, le=1_000_000)]
    allow_overlap: bool
    target: str = field(default="label", init=False)
    datasets: dict[str, Any] = field(default_factory=dict, init=False)

    targets: ClassVar[frozenset[str]] = frozenset({"label", "label_set", "boxes", "instances", "mask"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold is not None and self.fold >= self.folds:
            raise UserError(
                f"dataset.fold: found {self.fold}, but there are {self.folds} folds. Expected 0 to {self.folds - 1}."
            )
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise UserError(
                f"dataset.value_range: expected [low, high] with low below high, found {list(self.value_range)}. "
                "Try: dataset.value_range=[0,1]"
            )

    @property
    def keys(self) -> frozenset[str]:
        return super().keys - {"target", "datasets", "objects"}

    def with_datasets(self, datasets: Any) -> PythonSettings:
        """A copy that holds the objects.

        Args:
            datasets: A data set; or a mapping with ``train``, perhaps ``val`` and ``test``, whose other keys are left
                out here, for they are settings.

        Raises:
            UserError: As `visionkit.data.sources.python.given.separate`.
        """
        objects, _ = separate(datasets)
        held = {split: PythonObject(value) for split, value in objects.items()}
        return self._copy(datasets=held)

    def for_target(self, target: str) -> Source:
        if target == self.target or target not in self.targets:
            return self
        check_targets(self.augment, where="dataset.augment", targets=(target,))
        return self._copy(target=target)

    def with_value_range(self, value_range: Sequence[float] | None) -> Source:
        return self if value_range is None else self._copy(value_range=(value_range[0], value_range[1]))

    def check(self, *, strict: bool = False) -> None:
        self._require()
        if self.fold is not None and "val" in self.datasets:
            raise UserError(
                "dataset.fold: there is a val of its own, which is not poured together with train. Expected train "
                "alone, or train and test. Take val away, or: dataset.fold=null"
            )
        self._check_given_overlap()
        self.info()

    def info(self) -> DataInfo:
        names = self.names()
        return self.describe(names[self.first_label(names) :], in_channels=self.in_channels)

    def input_transform(self) -> InputTransform:
        from visionkit.data.transforms import InputTransform

        fit = self.fit or ("resize" if self.target in ("label", "label_set") else "letterbox")
        return InputTransform(self.size, fit, max_size=self.max_size)

    def names(self) -> tuple[str, ...]:
        """The names of classes as they are given, with a background that labels of objects may count.

        Raises:
            UserError: If they are unknown, too few or repeated.
        """
        given = {split: held.value for split, held in self._require().items()} if self.class_names is None else {}
        names = self.class_names or find_classes(given.values()) or self._counted_names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"dataset.class_names: '{twice}' is the name of two classes. Expected one name for each.")
        least = 2 if self.target in ("label", "mask") else 1
        if len(names) - self.first_label(names) < least:
            raise UserError(
                f"dataset.class_names: found {len(names)} ({', '.join(names)}). Expected at least {least} class(es)."
            )
        return names

    def first_label(self, names: Sequence[str]) -> int:
        """The label of the first class of objects: 1 behind a background, as torchvision's detectors count."""
        return int(self.target in ("boxes", "instances") and names[0].lower() in _BACKGROUNDS)

    @property
    def has_counted_names(self) -> bool:
        """Whether classes are named by their number."""
        return self.class_names is None and find_classes(held.value for held in self.datasets.values()) is None

    def item_targets(self) -> ItemTargets:
        """How targets are read."""
        from visionkit.data.sources.python.targets import ItemTargets

        names = self.names()
        first = self.first_label(names)
        return ItemTargets(self.target, len(names) - first, first, self.ignore)

    @cached_property
    def _counted_names(self) -> tuple[str, ...]:
        from visionkit.data.sources.python.survey import count_classes

        if self.target != "label":
            raise UserError(
                "dataset.class_names: the names of the classes are unknown, for the data set has no attribute "
                '`classes`. Expected one for each class. Try: dataset={"train": ..., "class_names": ["cat", "dog"]}'
            )
        return tuple(map(str, range(count_classes(self.datasets))))

    def _check_given_overlap(self) -> None:
        """Check that no object is given for two splits.

        Raises:
            UserError: If one is, and ``allow_overlap`` is not set.
        """
        given = list(self.datasets.items())
        for position, (split, held) in enumerate(given):
            other = next((name for name, earlier in given[:position] if earlier == held), None)
            if other is not None and not self.allow_overlap:
                raise UserError(
                    f"dataset: {other} and {split} are the same object. What was trained on says nothing about other "
                    f"images. Expected another data set, or leave {split} out and some of train is held out for it. "
                    "Or accept it: dataset.allow_overlap=true"
                )

    def _require(self) -> dict[str, Any]:
        if not self.datasets:
            was = f" ({', '.join(f'{key}: {text}' for key, text in self.objects.items())})" if self.objects else ""
            raise UserError(
                f"dataset=python stands for a data set that was handed over in Python{was}, which no file holds. Give "
                "it again: vk.train(..., dataset=my_dataset), or vk.evaluate(run, dataset=my_dataset). For files "
                "there are other data sets, such as dataset=folder"
            )
        return self.datasets

    def _copy(self, **values: Any) -> PythonSettings:
        """The source with other values, of fields that are no settings too."""
        kept = {"target": self.target, "datasets": self.datasets}
        kept |= {key: values.pop(key) for key in ("target", "datasets") if key in values}
        source = replace(self, **values)
        for key, value in kept.items():
            object.__setattr__(source, key, value)
        return source

    @property
    def is_whole(self) -> bool:
        """Whether one undivided data set was handed over."""
        return set(self.datasets) == {WHOLE}
