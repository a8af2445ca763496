"""Random changes of training images: a table of plain names over ``torchvision.transforms.v2``.

The table holds the names of the arguments too, so that a mistyped configuration is answered without torch.
Flips, crops and affine changes, which come in nearly every recipe, act on the whole batch at once, with one draw per
image (`visionkit.data.batch_augment`): torchvision would need a millisecond per image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionkit.data.batch_augment import WHOLE_BATCH
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AUGMENTATIONS", "Augment", "Augmentation", "build_transform", "check_augment", "seeded"]


@dataclass(frozen=True)
class Augmentation:
    """One row of the table.

    Attributes:
        transform: The class in ``torchvision.transforms.v2``.
        arguments: Argument names and their kinds: probability, number, whole, numbers (one or a list), pair, word;
            angles and shears (degrees), shares (0 to 1) and range (low and high, above 0) are checked as torchvision
            does, because the whole-batch forms never build its classes.
        required: Those without a default.
        smooth: Whether pixels are interpolated (bilinear instead of torchvision's nearest).
        targets: What may be known of the images; boxes and masks are moved along.
    """

    transform: str
    arguments: Mapping[str, str]
    required: tuple[str, ...] = ()
    smooth: bool = False
    targets: tuple[str, ...] = ("label", "boxes", "instances", "mask")


_OBJECTS = ("boxes", "instances")
_PLACES = (*_OBJECTS, "mask")

AUGMENTATIONS: dict[str, Augmentation] = {
    "random_crop": Augmentation("RandomCrop", {"padding": "whole", "padding_mode": "word"}, targets=("label",)),
    "random_resized_crop": Augmentation(
        "RandomResizedCrop", {"scale": "range", "ratio": "range"}, targets=("label", "mask")
    ),
    "scale_jitter": Augmentation("ScaleJitter", {"scale_range": "range"}, targets=_PLACES),
    "iou_crop": Augmentation(
        "RandomIoUCrop",
        {
            "min_scale": "probability",
            "max_scale": "probability",
            "min_aspect_ratio": "number",
            "max_aspect_ratio": "number",
        },
        targets=_OBJECTS,
    ),
    "zoom_out": Augmentation(
        "RandomZoomOut", {"fill": "number", "side_range": "enlargement", "p": "probability"}, targets=_PLACES
    ),
    "horizontal_flip": Augmentation("RandomHorizontalFlip", {"p": "probability"}),
    "vertical_flip": Augmentation("RandomVerticalFlip", {"p": "probability"}),
    "rotation": Augmentation("RandomRotation", {"degrees": "angles", "fill": "number"}, ("degrees",), smooth=True),
    "affine": Augmentation(
        "RandomAffine",
        {"degrees": "angles", "translate": "shares", "scale": "range", "shear": "shears", "fill": "number"},
        ("degrees",),
        smooth=True,
    ),
    "perspective": Augmentation(
        "RandomPerspective", {"distortion_scale": "probability", "p": "probability", "fill": "number"}, smooth=True
    ),
    "color_jitter": Augmentation(
        "ColorJitter", {"brightness": "numbers", "contrast": "numbers", "saturation": "numbers", "hue": "numbers"}
    ),
    "photometric_distort": Augmentation(
        "RandomPhotometricDistort",
        {
            "brightness": "range",
            "contrast": "range",
            "saturation": "range",
            "hue": "pair",
            "p": "probability",
        },
    ),
    "grayscale": Augmentation("RandomGrayscale", {"p": "probability"}),
    "gaussian_blur": Augmentation("GaussianBlur", {"kernel_size": "whole", "sigma": "numbers"}, ("kernel_size",)),
    "random_erasing": Augmentation(
        "RandomErasing",
        {"p": "probability", "scale": "pair", "ratio": "pair", "value": "number"},
        targets=("label",),
    ),
    "trivial_augment": Augmentation("TrivialAugmentWide", {"num_magnitude_bins": "whole"}, targets=("label",)),
    "rand_augment": Augmentation("RandAugment", {"num_ops": "whole", "magnitude": "whole"}, targets=("label",)),
}

_WORDS = {"label": "labels", "boxes": "boxes", "instances": "instances", "mask": "masks"}
_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def check_augment(
    augment: Mapping[str, Mapping[str, Any] | None], *, where: str, targets: Collection[str] = ("label", "boxes")
) -> None:
    """Check names and arguments against the table, without torch.

    Args:
        augment: ``{name: {argument: value}}``; a null value is fine.
        where: The place that an error names first.
        targets: What the data set may give; a change must fit one of them.

    Raises:
        UserError: If a name or an argument is unknown, missing or of the wrong kind, or a change does not fit.
    """
    fitting = [name for name, row in AUGMENTATIONS.items() if set(row.targets) & set(targets)]
    for name, arguments in augment.items():
        row = AUGMENTATIONS.get(name)
        if row is None:
            raise UserError(
                f"{where}: no augmentation is called '{name}'.{did_you_mean(name, AUGMENTATIONS)} "
                f"Known: {', '.join(sorted(AUGMENTATIONS))}."
            )
        if arguments is None:
            continue
        if name not in fitting and fitting:
            raise UserError(
                f"{where}: '{name}' changes images with {_WORDS[row.targets[0]]}, but this data set gives "
                f"{' and '.join(_WORDS.get(target, target) for target in sorted(targets))}. "
                f"Expected some of {', '.join(sorted(fitting))}. Try: {where}.{name}=null"
            )
        for argument, value in arguments.items():
            if argument not in row.arguments:
                raise UserError(
                    f"{where}.{name}: unknown argument '{argument}'.{did_you_mean(argument, row.arguments)} "
                    f"Known arguments: {', '.join(row.arguments)}."
                )
            expected = _mistake(argument, row.arguments[argument], value)
            if expected:
                raise UserError(f"{where}.{name}.{argument}: expected {expected}, found {describe(value)}.")
        for argument in row.required:
            if argument not in arguments:
                raise UserError(
                    f"{where}.{name}: the argument '{argument}' is required. Try: {where}.{name}.{argument}=10"
                )


class Augment:
    """Draws random changes for training images, for each image its own.

    ``random_resized_crop`` starts from the image as it was decoded; all others from the preprocessed one.

    Args:
        augment: ``{name: {argument: value}}`` in the order of application; null values are left out.
        image_size: Height and width of the result, in pixels.

    Raises:
        UserError: If torchvision refuses a value.
    """

    def __init__(self, augment: Mapping[str, Mapping[str, Any] | None], image_size: tuple[int, int]) -> None:
        self.wants_original = augment.get("random_resized_crop") is not None
        self.image_size = image_size
        self._before: list[Callable[[Tensor], Tensor]] = []
        self._steps: list[tuple[bool, Callable[[Tensor], Tensor]]] = []
        ready = not self.wants_original
        for name, arguments in augment.items():
            if arguments is None:
                continue
            if ready and name in WHOLE_BATCH:
                self._steps.append((True, WHOLE_BATCH[name](dict(arguments), image_size)))
            elif ready:
                self._steps.append((False, build_transform(name, arguments, image_size)))
            else:
                self._before.append(build_transform(name, arguments, image_size))
            ready = ready or name == "random_resized_crop"

    def __bool__(self) -> bool:
        return bool(self._before or self._steps)

    def __call__(self, images: Tensor | Sequence[Tensor], *, seed: int) -> Tensor:
        """Change a batch.

        Args:
            images: uint8, either (B, C, H, W) or, where `wants_original`, B images (C, H, W) of any sizes.
            seed: Of every draw; torch's own random state is left as it was.

        Returns:
            uint8 (B, C, H, W) of the given size.
        """
        import torch

        with seeded(seed):
            if self._before:
                images = torch.stack([_apply(self._before, image) for image in images])
            batch = images if isinstance(images, torch.Tensor) else torch.stack(list(images))
            for whole, step in self._steps:
                batch = step(batch) if whole else torch.stack([step(image) for image in batch])
            return batch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's default generator as from a fresh one, and leave its state as it was."""
    import torch

    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def build_transform(
    name: str, arguments: Mapping[str, Any], image_size: tuple[int, int], *, mask_fill: int = 0
) -> Callable[..., Any]:
    """The torchvision transform of a row of the table.

    Args:
        name: A key of `AUGMENTATIONS`.
        arguments: Checked by `check_augment`.
        image_size: Height and width of the images, in pixels.
        mask_fill: The value of masks outside the image.

    Raises:
        UserError: If torchvision refuses a value.
    """
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    row = AUGMENTATIONS[name]
    values = dict(arguments)
    if name in ("random_crop", "random_resized_crop"):
        values["size"] = image_size
    if name == "random_resized_crop":
        values["antialias"] = True
    if row.smooth:
        values["interpolation"] = v2.InterpolationMode.BILINEAR
    if "fill" in row.arguments:
        values["fill"] = {tv_tensors.Mask: mask_fill, "others": values.get("fill") or 0}
    try:
        transform: Callable[..., Any] = getattr(v2, row.transform)(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.augment.{name}: {error} Found {describe(dict(arguments))}.") from None
    return transform


def _mistake(argument: str, kind: str, value: Any) -> str:
    """What was expected, or nothing if the value will do."""
    if kind == "probability":
        return "" if _is_number(value) and 0 <= value <= 1 else "a number from 0 to 1"
    if kind == "number":
        return "" if _is_number(value) else "a number"
    if kind == "whole":
        return "" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else "a whole number"
    if kind in ("angles", "shears"):
        pairs = [value] if _are_numbers(value, (2,)) else []
        if kind == "shears" and _are_numbers(value, (4,)):
            pairs = [value[:2], value[2:]]
        good = bool(pairs) and all(low <= high for low, high in pairs)
        good = good or (_is_number(value) and value >= 0) or (kind == "shears" and value is None)
        return "" if good else "a number or two, such as 5 or [-5, 5], the smaller one first"
    if kind == "shares":
        good = value is None or (_are_numbers(value, (2,)) and all(0 <= part <= 1 for part in value))
        return "" if good else "two shares of the size from 0 to 1, such as [0.1, 0.1]"
    if kind == "range":
        good = value is None or (_are_numbers(value, (2,)) and 0 < value[0] <= value[1])
        return "" if good else "two numbers, such as [0.1, 0.2], above 0 and the smaller one first"
    if kind == "enlargement":
        good = value is None or (_are_numbers(value, (2,)) and 1 <= value[0] <= value[1])
        return "" if good else "two numbers from 1 on, such as [1, 4], the smaller one first"
    if kind == "pair":
        return "" if value is None or _are_numbers(value, (2,)) else "two numbers, such as [0.1, 0.2]"
    if kind == "numbers":
        good = value is None or _is_number(value) or _are_numbers(value, (2, 4))
        return "" if good else "a number or two, such as [-5, 5]"
    return "" if value in _PADDING_MODES else f"one of {', '.join(_PADDING_MODES)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_numbers(value: Any, lengths: tuple[int, ...]) -> bool:
    return isinstance(value, (list, tuple)) and len(value) in lengths and all(_is_number(part) for part in value)


def _apply(steps: Sequence[Callable[[Tensor], Tensor]], image: Tensor) -> Tensor:
    for step in steps:
        image = step(image)
    return image
