"""Losses that a configuration chooses by name, in one registry for each kind of target; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator

from visionkit.errors import UserError
from visionkit.registry import Registry
from visionkit.schema import describe, nested_errors, parse_typed

__all__ = [
    "BOX_LOSSES",
    "LABEL_LOSSES",
    "LABEL_SET_LOSSES",
    "PIXEL_LOSSES",
    "BoxLossSpec",
    "LabelLosses",
    "LabelSetLosses",
    "LossSpec",
    "LossTerm",
    "PixelLosses",
    "check_shared_keys",
    "loss_terms",
]


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """One term of a weighted sum of losses; its other fields are arguments of the function it registers.

    The function takes the logits and the targets of a batch, and returns a scalar. In evaluation it is called for each
    image alone, unless `visionkit.losses.sums.with_sums` names a function that gives its sums over a batch.

    Attributes:
        weight: The factor of the term; 0 leaves it out.
    """

    weight: Annotated[float, Field(ge=0, le=1_000_000)]

    takes_class_weights: ClassVar[bool] = False
    """Whether the function has an argument ``class_weights``: (K,) factors of the classes, or None."""

    takes_label_smoothing: ClassVar[bool] = False
    """Whether `arguments` takes the head's ``label_smoothing``."""

    takes_soft_targets: ClassVar[bool] = False
    """Whether the function of labels or label sets also takes shares, floating point (B, K), for ``recipe.mix``."""

    metric: ClassVar[str | None] = None
    """The name of the term among the run's losses, if it is not that of the registry."""

    def arguments(self, head: Any) -> dict[str, Any]:
        """The keyword arguments of the function.

        Args:
            head: The specification of the head, which may have values that losses share.
        """
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "weight"}

    def name(self, registry: Registry[LossSpec]) -> str:
        """Its name in the registry."""
        return registry.name_of(type(self))

    def load_function(self, registry: Registry[LossSpec]) -> Callable[..., Any]:
        """The function that it describes."""
        return registry.module_of(type(self))


LABEL_LOSSES: Registry[LossSpec] = Registry("loss of labels", base=LossSpec)
"""Of functions of logits (B, K) and labels (B,) int64."""

LABEL_SET_LOSSES: Registry[LossSpec] = Registry("loss of label sets", base=LossSpec)
"""Of functions of logits (B, K) and label sets (B, K) uint8, 1 for the classes that an image has."""

PIXEL_LOSSES: Registry[LossSpec] = Registry("loss of pixels", base=LossSpec)
"""Of functions of logits (B, K, H, W) and masks (B, H, W) uint8, 255 for ignored pixels."""


@LABEL_LOSSES.register("cross_entropy", module="visionkit.losses.classification:cross_entropy")
@PIXEL_LOSSES.register("cross_entropy", module="visionkit.losses.segmentation:pixel_cross_entropy")
@dataclass(frozen=True, kw_only=True)
class CrossEntropySpec(LossSpec):
    """Mean cross-entropy, with the head's ``label_smoothing``."""

    takes_class_weights = True
    takes_label_smoothing = True
    takes_soft_targets = True

    def arguments(self, head: Any) -> dict[str, Any]:
        return {"label_smoothing": head.label_smoothing}


@LABEL_SET_LOSSES.register("binary_cross_entropy", module="visionkit.losses.classification:binary_cross_entropy")
@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropySpec(CrossEntropySpec):
    """Mean cross-entropy of a sigmoid per class, with the head's ``label_smoothing``."""


@PIXEL_LOSSES.register("dice", module="visionkit.losses.segmentation:dice_loss")
@dataclass(frozen=True, kw_only=True)
class DiceSpec(LossSpec):
    """Soft Dice loss, which weighs all classes equally (Milletari et al. 2016, arXiv:1606.04797, section 3)."""

    metric = "dice_loss"


@PIXEL_LOSSES.register("focal", module="visionkit.losses.segmentation:pixel_focal_loss")
@dataclass(frozen=True, kw_only=True)
class FocalSpec(LossSpec):
    """Cross-entropy with easy pixels weighted down (Lin et al. 2017, arXiv:1708.02002, section 3.2)."""

    takes_class_weights = True

    def arguments(self, head: Any) -> dict[str, Any]:
        return {"gamma": head.focal_gamma}


@dataclass(frozen=True, kw_only=True)
class BoxLossSpec:
    """A loss of predicted boxes; its fields are arguments of the function it registers.

    The function takes predictions (..., 4) and targets (..., 4), and returns the loss of each, (...).
    """

    of_deltas: ClassVar[bool] = False
    """Whether they are deltas from anchors (`visionkit.structures.boxes.box_deltas`), not boxes xyxy in pixels."""


BOX_LOSSES: Registry[BoxLossSpec] = Registry("loss of boxes", base=BoxLossSpec)


@BOX_LOSSES.register("l1", module="visionkit.losses.boxes:l1_loss")
@dataclass(frozen=True, kw_only=True)
class L1Spec(BoxLossSpec):
    """The absolute differences of the deltas, summed."""

    of_deltas = True


@BOX_LOSSES.register("giou", module="visionkit.losses.boxes:giou_loss")
@dataclass(frozen=True, kw_only=True)
class GiouSpec(BoxLossSpec):
    """1 minus the generalised IoU (Rezatofighi et al. 2019, arXiv:1902.09630)."""


@dataclass(frozen=True)
class LossTerm:
    """A term of a weighted sum, ready to be computed.

    Attributes:
        name: Its name among the losses of a run.
        weight: Its factor, above 0.
        function: The loss; see `LossSpec`.
        takes_class_weights: Whether ``function`` takes them.
    """

    name: str
    weight: float
    function: partial[Any]
    takes_class_weights: bool

    def __call__(self, logits: Any, targets: Any, class_weights: Any) -> Any:
        """The term times its factor, a scalar tensor."""
        arguments = {"class_weights": class_weights} if self.takes_class_weights else {}
        loss = self.function(logits, targets, **arguments)
        return loss if self.weight == 1 else self.weight * loss

    @property
    def module(self) -> Any:
        """The function, where it is a `torch.nn.Module` with a state of its own; None for any other."""
        return getattr(self.function.func, "module", None)

    def named(self, logits: Any, targets: Any, class_weights: Any) -> dict[str, Any]:
        """The term by its name, or the parts that a function of a person's gives, by theirs."""
        loss = self(logits, targets, class_weights)
        return loss if isinstance(loss, dict) else {self.name: loss}

    def named_sums(self, logits: Any, targets: Any, class_weights: Any) -> dict[str, Any]:
        """The `visionkit.losses.sums.LossSums` of `named`."""
        sums = self.sums(logits, targets, class_weights)
        return sums if isinstance(sums, dict) else {self.name: sums}

    def sums(self, logits: Any, targets: Any, class_weights: Any) -> Any:
        """The `visionkit.losses.sums.LossSums` of the term times its factor."""
        import torch

        from visionkit.losses.sums import LossSums, sums_function

        arguments = {"class_weights": class_weights} if self.takes_class_weights else {}
        function = sums_function(self.function.func)
        if function is not None:
            sums = function(logits, targets, **self.function.keywords, **arguments)
            return sums if self.weight == 1 else sums.scaled(self.weight)
        pairs = zip(logits.split(1), targets.split(1), strict=True)
        losses = torch.stack([self.function(*pair, **arguments) for pair in pairs])
        return LossSums.of_mean(losses.mean(), len(losses)).scaled(self.weight)


def loss_terms(registry: Registry[LossSpec], losses: Sequence[LossSpec], head: Any) -> list[LossTerm]:
    """The terms of a head's losses whose factor is above 0.

    Args:
        registry: The registry of ``losses``.
        losses: The specifications.
        head: The specification of the head, for `LossSpec.arguments`.
    """
    terms = []
    for loss in losses:
        if loss.weight > 0:
            function = loss.load_function(registry)
            name = loss.metric or loss.name(registry)
            terms.append(
                LossTerm(name, loss.weight, partial(function, **loss.arguments(head)), loss.takes_class_weights)
            )
    return terms


def check_shared_keys(registry: Registry[LossSpec], losses: Sequence[LossSpec], head: Any) -> None:
    """Check that a loss takes part which uses the head's class weights and label smoothing, where they are set.

    Args:
        registry: The registry of ``losses``.
        losses: The specifications.
        head: The specification of the head.

    Raises:
        UserError: If one is set and no loss uses it.
    """
    active = [loss for loss in losses if loss.weight]
    for key, is_set, uses in (
        ("class_weights", head.class_weights is not None, "takes_class_weights"),
        ("label_smoothing", head.label_smoothing > 0, "takes_label_smoothing"),
    ):
        if is_set and not any(getattr(loss, uses) for loss in active):
            names = ", ".join(loss.name(registry) for loss in active)
            able = ", ".join(name for name in registry.names() if getattr(registry.get(name), uses))
            raise UserError(
                f"head.{key}: it is set, but {names} in head.loss does not use it. Expected one that does: {able}. "
                f"Try: +head.loss.{able.partition(',')[0]}=1.0"
            )


def _parse_losses(registry: Registry[LossSpec], values: Any) -> tuple[LossSpec, ...]:
    with nested_errors():
        if not isinstance(values, Mapping):
            raise UserError(
                f": expected a mapping of losses to their factors, such as {{cross_entropy: 1.0}}; "
                f"found {describe(values)}."
                + (
                    f" Try: 'head.loss={{{values}: 1.0}}'"
                    if values in registry.names()
                    else f" Known: {', '.join(registry.names())}."
                )
            )
        # In the order of their names, so that the sum's last digit does not depend on who is named first.
        losses = tuple(_parse_loss(registry, name, value) for name, value in sorted(values.items()))
        if not any(loss.weight for loss in losses):
            raise UserError(
                ": all factors are 0, so there is nothing to minimise. "
                f"Expected one above 0 of: {', '.join(registry.names())}"
            )
    return losses


def _parse_loss(registry: Registry[LossSpec], name: str, value: Any) -> LossSpec:
    if name not in registry.names():
        registry.get(name)  # says which there are
    if isinstance(value, Mapping):
        return parse_typed(registry, {"type": name, **value}, where=name)
    try:
        return parse_typed(registry, {"type": name, "weight": value}, where=name)
    except UserError as error:
        raise UserError(str(error).replace(f"{name}.weight:", f"{name}:", 1)) from None


LabelLosses = Annotated[tuple[LossSpec, ...], PlainValidator(partial(_parse_losses, LABEL_LOSSES))]
"""A mapping of losses to factors, or to mappings with ``weight``: ``{cross_entropy: 1.0}``."""

LabelSetLosses = Annotated[tuple[LossSpec, ...], PlainValidator(partial(_parse_losses, LABEL_SET_LOSSES))]
"""The same of the losses of multi-label classification: ``{binary_cross_entropy: 1.0}``."""

PixelLosses = Annotated[tuple[LossSpec, ...], PlainValidator(partial(_parse_losses, PIXEL_LOSSES))]
"""The same of the losses of semantic segmentation: ``{cross_entropy: 1.0, dice: 0.5}``."""
