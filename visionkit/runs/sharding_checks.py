"""What cannot be done to a model whose parameters are sharded over the processes: ``hardware.strategy=fsdp``."""

from __future__ import annotations

from visionkit.errors import UserError
from visionkit.settings import Hardware, Muon, Recipe

__all__ = ["check_sharding"]


def check_sharding(recipe: Recipe, hardware: Hardware) -> None:
    """Check that a recipe asks for nothing that needs whole parameters in each process.

    Raises:
        UserError: If it does, and the hardware shards them.
    """
    if hardware.strategy != "fsdp":
        return
    found = (
        ("recipe.ema", recipe.ema is not None, "an average of the weights", "recipe.ema=null"),
        ("recipe.freeze", recipe.freeze is not None, f"{recipe.freeze}", "recipe.freeze=null"),
        ("recipe.optimizer", isinstance(recipe.optimizer, Muon), "muon", "recipe=adamw"),
        ("recipe.on_nan", recipe.on_nan != "stop", recipe.on_nan, "recipe.on_nan=stop"),
        ("recipe.teacher", recipe.teacher is not None, "a teacher", "recipe.teacher=null"),
    )
    for key, is_set, value, other in found:
        if is_set:
            raise UserError(
                f"{key}: found {value}, which needs whole weights in each process, and hardware.strategy=fsdp shards "
                f"them. Expected one of both. Try: hardware.strategy=ddp, or {other}"
            )
