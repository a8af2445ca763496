"""The choice of a stem: changes to a few layers that make a design fit smaller images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.errors import UserError, did_you_mean

__all__ = ["PAPER", "resolve_stem", "with_stem"]

PAPER = "paper"
"""The stem that the stages of a file have."""


def resolve_stem(content: Mapping[str, Any]) -> dict[str, Any]:
    """A backbone file's content with its stem put into the stages, so that what is changed later stays changed.

    Args:
        content: The file's content; what is wrong in it is left for `BackboneSpec.from_mapping` to find.

    Raises:
        UserError: If there is no such stem, or it changes a layer that is not there.
    """
    stages, stem, stems = content.get("stages"), content.get("stem", PAPER), content.get("stems", {})
    if stem == PAPER or not all(isinstance(part, Mapping) for part in (stages, stems)) or not isinstance(stem, str):
        return dict(content)
    stages = with_stem(stages, stem, stems, where=f"backbone {content.get('name', '')}".strip())  # type: ignore[arg-type]
    return {**content, "stages": stages, "stems": {stem: {}}}


def with_stem(
    stages: Mapping[str, Any], stem: str, stems: Mapping[str, Mapping[str, Any]], *, where: str
) -> dict[str, Any]:
    """The stages with a stem's changes: keys laid over a layer's, null takes one away.

    Args:
        stages: As the file has them.
        stem: The stem chosen.
        stems: Those there are: stage to layer to changes.
        where: The place an error names.

    Raises:
        UserError: If there is no such stem, or it changes a layer that is not there.
    """
    if stem == PAPER:
        return dict(stages)
    if stem not in stems:
        known = [PAPER, *stems]
        small = "" if stems else " This network has no other; it takes images as small as its layers allow."
        raise UserError(
            f"{where}: stem: no stem is called '{stem}'.{did_you_mean(stem, known)} Known: {', '.join(known)}.{small}"
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
