"""Whether two models find the same objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from visionkit.export.parity import MIN_EQUAL_PIXELS, MIN_IOU, TOLERANCE, Parity
from visionkit.structures.boxes import generalized_iou

__all__ = ["compare_objects", "other_predictions"]

_SAME_CORNER = 1e-3
"""In pixels, for boxes too thin for an IoU."""
_OBJECT_KEYS = ("boxes", "scores", "labels")
_INSTANCE_KEYS = (*_OBJECT_KEYS, "mask_logits")
_NUM_OTHERS, _ROUNDING = 6, 1e-6

Objects = Mapping[str, Tensor]
"""Boxes, scores and labels, and of instances mask logits, by name: rows of an image."""
Others = Callable[[], Sequence[Objects]]


def compare_objects(name: str, expected: Objects, found: Objects, parity: Parity, *, others: Others) -> None:
    """Compare the objects of a batch: each has one of the other side of its class, at its place, with its score.

    Where the other side has as many as an image may have, one with the score of the last, up to the tolerance, may be
    cut off there. An object that one side lacks is borderline if it comes and goes in the model's own predictions when
    its raw outputs change as by rounding: it lies at the edge of a threshold.

    Args:
        name: Of the batch, for messages.
        expected: The model's predictions, with a row per image.
        found: Those of the file.
        parity: What is found is added to it.
        others: The result of `other_predictions`.
    """
    keys = [key for key in _INSTANCE_KEYS if key in expected]
    for i in range(len(expected["boxes"])):
        own, of_file = (_present({key: part[key][i] for key in keys}) for part in (expected, found))
        pairs = _pairs(own, of_file)
        parity.detections += int(pairs.any(dim=1).sum())
        if len(own["labels"]) != len(of_file["labels"]) and bool(pairs.any(dim=1).all() and pairs.any(dim=0).all()):
            counts = f"{len(of_file['labels'])} objects instead of {len(own['labels'])}"
            parity.add(f"{name}, image {i + 1}: {counts}, and those of one place are one object")
        if "mask_logits" in own:
            _compare_masks(f"{name}, image {i + 1}", own, of_file, pairs, parity)
        for part, other, missing, words in (
            (own, found, ~pairs.any(dim=1), "is missing"), (of_file, expected, ~pairs.any(dim=0), "is not the model's"),
        ):  # fmt: skip
            is_full = bool((other["labels"][i] >= 0).all())
            last = part["scores"].min() if len(part["scores"]) else 0.0
            for row in missing.nonzero()[:, 0].tolist():
                lone = {key: part[key][row : row + 1] for key in _OBJECT_KEYS}
                score = float(lone["scores"][0])
                variants = (_present({key: variant[key][i] for key in _OBJECT_KEYS}) for variant in others())
                is_cut = is_full and score - float(last) <= TOLERANCE
                if is_cut or _comes_and_goes(lone, variants, is_own=part is own):
                    parity.borderline += 1
                    continue
                parity.add(f"{name}, image {i + 1}: {_describe(lone)} {words}")


def other_predictions(model: Any, raw: Mapping[str, Tensor], inputs: Mapping[str, Tensor], parity: Parity) -> Others:
    """What a model predicts where its raw outputs are changed as little as by rounding; computed if it is asked for.

    Args:
        model: A `visionkit.models.VisionModel`.
        raw: Its raw outputs of a batch.
        inputs: The batch.
        parity: How far raw outputs of the file differ so far, by which they are changed.
    """

    @cache
    def predict() -> Sequence[Objects]:
        generator = torch.Generator().manual_seed(0)
        scale = max(_ROUNDING, *parity.largest_difference.values(), 0.0)
        return [
            model.predict(
                {key: _changed(value, scale, generator) for key, value in raw.items()}, inputs.get("image_sizes")
            )
            for _ in range(_NUM_OTHERS)
        ]

    return predict


def _describe(lone: Objects) -> str:
    """One object in words."""
    corners = ", ".join(f"{side:.1f}" for side in lone["boxes"][0].tolist())
    return f"the object of class {int(lone['labels'][0])} at [{corners}], score {float(lone['scores'][0]):.4f},"


def _changed(values: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    if not values.is_floating_point():
        return values
    noise = torch.rand(values.shape, generator=generator) * 2 - 1
    return values + (noise * scale * values.abs().amax()).to(values.dtype)


def _present(objects: Objects) -> dict[str, Tensor]:
    """The rows that are objects, not padding."""
    keep = objects["labels"] >= 0
    return {key: value[keep] for key, value in objects.items()}


def _pairs(objects: Objects, others: Objects) -> Tensor:
    """Which of n objects are which of m others, (n, m) bool."""
    boxes, other_boxes = objects["boxes"].double()[:, None], others["boxes"].double()[None]
    at_place = generalized_iou(boxes, other_boxes)[0] >= MIN_IOU
    at_place |= (boxes - other_boxes).abs().amax(dim=2) <= _SAME_CORNER
    same = at_place & (objects["labels"][:, None] == others["labels"][None])
    return same & ((objects["scores"][:, None] - others["scores"][None]).abs() <= TOLERANCE)


def _comes_and_goes(lone: Objects, variants: Iterator[Objects], *, is_own: bool) -> bool:
    """Whether one of the model's own lacks in a variant of its predictions, or one that it lacks is in one."""
    return any(bool(_pairs(lone, variant).any()) != is_own for variant in variants)


def _compare_masks(name: str, expected: Objects, found: Objects, pairs: Tensor, parity: Parity) -> None:
    """The cells (n, S, S) and (m, S, S) of the objects of both, but where the model's own lie at the edge."""
    both = pairs.any(dim=1)
    if not bool(both.any()):
        return
    own, of_file = expected["mask_logits"][both], found["mask_logits"][pairs[both].int().argmax(dim=1)]
    differs = ((own > 0) != (of_file > 0)) & (own.abs() > TOLERANCE)
    if not bool(of_file.isfinite().all()) or float(differs.float().sum()) > (1 - MIN_EQUAL_PIXELS) * differs.numel():
        parity.add(f"{name}: {int(differs.sum())} of {differs.numel()} cells of the masks of its objects differ")
