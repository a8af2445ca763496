"""Whether what a recipe and the hardware ask of the stages of a backbone can be done."""

from __future__ import annotations

from visionkit.backbones import BackboneSpec
from visionkit.errors import UserError
from visionkit.heads import HeadSpec
from visionkit.settings import Hardware, Recipe
from visionkit.text import count_of

__all__ = ["check_stages"]


def check_stages(recipe: Recipe, hardware: Hardware, backbone: BackboneSpec, head: HeadSpec) -> None:
    """Check the keys that depend on the stages of the backbone.

    Args:
        recipe: The recipe.
        hardware: The hardware.
        backbone: The backbone as the head takes it.
        head: The head; stages behind the last one that it reads are not built.

    Raises:
        UserError: For layer decay with a single stage, more frozen stages than there are, and what cannot be done to
            a network of timm's.
    """
    names = list(backbone.stages)
    names = names[: names.index(head.out_features(backbone)[-1]) + 1]
    if recipe.layer_decay is not None and len(names) < 2:
        raise UserError(
            f"recipe.layer_decay: found {recipe.layer_decay:g}, but backbone {backbone.name} has one stage, "
            f"'{names[0]}', and nothing to divide. Expected two stages at least. "
            f"Try: recipe.layer_decay=null recipe.backbone_lr={recipe.layer_decay:g}"
        )
    if recipe.freeze is not None and recipe.freeze > len(names):
        raise UserError(
            f"recipe.freeze: found {recipe.freeze}, but backbone {backbone.name} has {count_of(len(names), 'stage')} "
            f"below this head: {', '.join(names)}. Expected {len(names)} or fewer. Try: recipe.freeze={len(names)}"
        )
    if hardware.gradient_checkpointing and not backbone.can_checkpoint:
        raise UserError(
            f"hardware.gradient_checkpointing: found true, but backbone {backbone.name} computes its stages in one "
            "call. Expected a network of visionkit's own, such as backbone=convnext_tiny. "
            "Try: hardware.gradient_checkpointing=false"
        )
