"""The table of augmentations, short names for classes of ``torchvision.transforms.v2``; checked without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.errors import UserError, did_you_mean, plural
from visionkit.schema import describe

__all__ = ["Augmentation", "AUGMENTATIONS", "augmentation", "check_augment"]


@dataclass(frozen=True)
class Augmentation:
    """One augmentation.

    Attributes:
        transform: The class in ``torchvision.transforms.v2``, or ``"module:Class"`` of a plugin's.
        arguments: The kind of each argument: probability, number, whole (an integer from 0), numbers (one or a list),
            pair, word; angles and shears (degrees), shares (0 to 1), range (low and high, above 0) and enlargement
            (low and high, from 1) are checked as torchvision does, because the batch forms do not build its classes.
        required: The arguments without a default.
        smooth: Whether to interpolate bilinearly instead of by torchvision's default, nearest.
        targets: The kinds of target it supports, None for all; boxes and masks are transformed with the image.
    """

    transform: str
    arguments: Mapping[str, str]
    required: tuple[str, ...] = ()
    smooth: bool = False
    targets: tuple[str, ...] | None = None

    def supports(self, targets: Collection[str]) -> bool:
        """Whether it supports one of these kinds of target."""
        return self.targets is None or bool(set(self.targets) & set(targets))


_OBJECT_TARGETS = ("boxes", "instances")


_SPATIAL_TARGETS = (*_OBJECT_TARGETS, "mask")


AUGMENTATIONS: dict[str, Augmentation] = {
    "random_crop": Augmentation("RandomCrop", {"padding": "whole", "padding_mode": "word"}, targets=("label",)),
    "random_resized_crop": Augmentation(
        "RandomResizedCrop", {"scale": "range", "ratio": "range"}, targets=("label", "mask")
    ),
    "scale_jitter": Augmentation("ScaleJitter", {"scale_range": "range"}, targets=_SPATIAL_TARGETS),
    "iou_crop": Augmentation(
        "RandomIoUCrop",
        {
            "min_scale": "probability",
            "max_scale": "probability",
            "min_aspect_ratio": "number",
            "max_aspect_ratio": "number",
        },
        targets=_OBJECT_TARGETS,
    ),
    "zoom_out": Augmentation(
        "RandomZoomOut", {"fill": "number", "side_range": "enlargement", "p": "probability"}, targets=_SPATIAL_TARGETS
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


_KINDS = {kind for row in AUGMENTATIONS.values() for kind in row.arguments.values()}


def augmentation(name: str, row: Augmentation) -> None:
    """Register an augmentation under ``dataset.augment.NAME``, as a plugin does.

    Raises:
        UserError: If another one has the name, or an argument is of a kind that does not exist.
    """
    unknown = sorted(set(row.arguments.values()) - _KINDS)
    if unknown:
        raise UserError(
            f"augmentation '{name}': no kind of argument is called '{unknown[0]}'.{did_you_mean(unknown[0], _KINDS)} "
            f"Known: {', '.join(sorted(_KINDS))}."
        )
    if AUGMENTATIONS.setdefault(name, row) != row:
        raise UserError(f"augmentation '{name}' is defined twice: {AUGMENTATIONS[name].transform}, {row.transform}.")


_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def check_augment(
    augment: Mapping[str, Mapping[str, Any] | None], *, where: str, targets: Collection[str] = ("label", "boxes")
) -> None:
    """Check names and arguments of augmentations against the table, without torch.

    Args:
        augment: ``{name: {argument: value}}``; null values are allowed.
        where: The configuration key, for messages.
        targets: The targets of the data set; each augmentation must support one of them.

    Raises:
        UserError: If a name or argument is unknown, an argument is missing or invalid, or a target is not supported.
    """
    applicable = [name for name, row in AUGMENTATIONS.items() if row.supports(targets)]
    for name, arguments in augment.items():
        row = AUGMENTATIONS.get(name)
        if row is None:
            raise UserError(
                f"{where}: no augmentation is called '{name}'.{did_you_mean(name, AUGMENTATIONS)} "
                f"Known: {', '.join(sorted(AUGMENTATIONS))}. One of your own is named with plugins=[your_module]."
            )
        if arguments is None:
            continue
        if row.targets is not None and not row.supports(targets):
            raise UserError(
                f"{where}: '{name}' changes images with {plural(row.targets[0])}, but this data set gives "
                f"{' and '.join(map(plural, sorted(targets)))}. "
                f"Expected some of {', '.join(sorted(applicable))}. Try: {where}.{name}=null"
            )
        for argument, value in arguments.items():
            if argument not in row.arguments:
                raise UserError(
                    f"{where}.{name}: unknown argument '{argument}'.{did_you_mean(argument, row.arguments)} "
                    f"Known arguments: {', '.join(row.arguments)}."
                )
            expected = _expected_instead(argument, row.arguments[argument], value)
            if expected:
                raise UserError(f"{where}.{name}.{argument}: expected {expected}, found {describe(value)}.")
        for argument in row.required:
            if argument not in arguments:
                raise UserError(
                    f"{where}.{name}: the argument '{argument}' is required. Try: {where}.{name}.{argument}=10"
                )


def _expected_instead(argument: str, kind: str, value: Any) -> str:
    """What was expected instead of the value; empty if the value is valid."""
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
