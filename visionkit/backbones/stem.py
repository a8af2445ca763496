"""Stems: alternative first layers of a backbone, such as those for small images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.errors import UserError, did_you_mean

__all__ = ["PAPER", "resolve_stem", "with_stem"]

PAPER = "paper"
"""The name of the stem that is written in the stages of a file."""


def resolve_stem(content: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the chosen stem into the stages of a backbone file, so that later overrides take precedence over it.

    Args:
        content: The file's content, not yet validated.

    Raises:
        UserError: If there is no such stem, or it changes a layer that does not exist.
    """
    stages, stem, stems = content.get("stages"), content.get("stem", PAPER), content.get("stems", {})
    if stem == PAPER or not all(isinstance(part, Mapping) for part in (stages, stems)) or not isinstance(stem, str):
        return dict(content)
    stages = with_stem(stages, stem, stems, where=f"backbone {content.get('name', '')}".strip())  # type: ignore[arg-type]
    return {**content, "stages": stages, "stems": {stem: {}}}


def with_stem(
    stages: Mapping[str, Any], stem: str, stems: Mapping[str, Mapping[str, Any]], *, where: str
) -> dict[str, Any]:
    """The stages with the changes of a stem: its keys replace those of a layer, null removes the layer.

    Args:
        stages: The stages of the file.
        stem: Name of the chosen stem.
        stems: Stem names to changes: stage to layer to keys.
        where: Path that error messages begin with.

    Raises:
        UserError: If there is no such stem, or it changes a layer that does not exist.
    """
    if stem == PAPER:
        return dict(stages)
    if stem not in stems:
        names = [PAPER, *stems]
        small = "" if stems else " This network has no other; it takes images as small as its layers allow."
        raise UserError(
            f"{where}: stem: no stem is called '{stem}'.{did_you_mean(stem, names)} Known: {', '.join(names)}.{small}"
        )
    changed = {name: dict(layers) if isinstance(layers, Mapping) else layers for name, layers in stages.items()}
    for stage, changes in stems[stem].items():
        for layer, change in (changes or {}).items():
            if stage not in changed or layer not in changed[stage]:
                raise UserError(f"{where}: stems.{stem}: there is no layer {stage}.{layer} to change.")
            if change is None:
                del changed[stage][layer]
            else:
                changed[stage][layer] = {**changed[stage][layer], **change}
        if not changed[stage]:
            del changed[stage]
    return changed
