"""Whether an exported file gives what the run's model gives, image by image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visionkit.export.files import Runner
from visionkit.export.graph import CONVERGED
from visionkit.structures.boxes import generalized_iou

__all__ = ["Parity", "check_parity", "parity_lines"]

TOLERANCE = 1e-4
"""Of raw outputs, relative to the largest of an image; of scores and of a margin between classes, absolute."""
MIN_IOU = 0.999
MIN_EQUAL_PIXELS = 0.999
_SAME_CORNER = 1e-3
"""In pixels, for boxes too thin for an IoU."""
_SHOWN_PROBLEMS = 20
_OBJECT_KEYS = ("boxes", "scores", "labels")
_INSTANCE_KEYS = (*_OBJECT_KEYS, "mask_logits")


@dataclass
class Parity:
    """What was compared, and what differs.

    Attributes:
        images: The images of the run's data that were compared, each alone and in a batch of three.
        noise: The images of noise, of which raw outputs alone are compared.
        largest_difference: Of each raw output, relative to the largest value of its image.
        detections: The objects that both found.
        borderline: Labels and objects that differ where the model's own margin is below the tolerance.
        not_converged: The images whose suppression has not come to its end.
        sizes: Of a file that takes images of any size, other heights and widths at which it was compared.
        size_multiple: What heights and widths must be multiples of.
        problems: The differences, each in words; the first of them.
        num_problems: All of them.
    """

    images: int = 0
    noise: int = 0
    largest_difference: dict[str, float] = field(default_factory=dict)
    detections: int = 0
    borderline: int = 0
    not_converged: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)
    size_multiple: int = 1
    problems: list[str] = field(default_factory=list)
    num_problems: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing differs, and something was compared."""
        return self.num_problems == 0 and self.images + self.noise > 0

    def add(self, problem: str) -> None:
        """Count a difference."""
        self.num_problems += 1
        if self.num_problems <= _SHOWN_PROBLEMS:
            self.problems.append(problem)

    def merge(self, other: Parity) -> None:
        """Add what a comparison at other sizes has found."""
        for name in ("detections", "borderline", "not_converged"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, value in other.largest_difference.items():
            self.largest_difference[name] = max(value, self.largest_difference.get(name, 0.0))
        self.sizes, self.size_multiple = self.sizes + other.sizes, max(self.size_multiple, other.size_multiple)
        self.problems = (self.problems + other.problems)[:_SHOWN_PROBLEMS]
        self.num_problems += other.num_problems

    def document(self) -> dict[str, Any]:
        """As plain values."""
        limits = {"tolerance": TOLERANCE, "min_iou": MIN_IOU, "min_equal_pixels": MIN_EQUAL_PIXELS}
        return {"passed": self.passed, **asdict(self), "limits": limits}


@torch.inference_mode()
def check_parity(
    runner: Runner, model: Any, batches: Iterable[tuple[str, Mapping[str, Tensor]]], *, parity: Parity, noise: bool
) -> None:
    """Compare a file with a model on batches.

    Args:
        runner: The file.
        model: The `visionkit.models.VisionModel` of the run, on the CPU.
        batches: A name and the inputs of each.
        parity: What is found is added to it.
        noise: Whether the images are noise, of which predictions mean nothing.
    """
    for name, inputs in batches:
        sizes = inputs.get("image_sizes")
        raw = model(inputs["images"], sizes)
        try:
            found = {key: torch.from_numpy(np.asarray(value)) for key, value in runner(inputs).items()}
        except Exception as error:  # of the file's own runtime
            parity.add(f"{name}: the file does not run: {' '.join(str(error).split())[:300]}")
            continue
        num_images = len(inputs["images"])
        wrong = [key for key, value in found.items() if value.shape[:1] != (num_images,)]
        if wrong:
            parity.add(f"{name}: {wrong[0]} has the shape {tuple(found[wrong[0]].shape)} for {num_images} image(s)")
            continue
        _compare_raw(name, raw, found, parity)
        if not noise:
            expected = {key: value for key, value in model.predict(raw, sizes).items() if key in found}
            _compare_predictions(name, expected, found, inputs, parity)


def _compare_raw(name: str, raw: Mapping[str, Tensor], found: Mapping[str, Tensor], parity: Parity) -> None:
    for key in sorted(set(raw) & set(found)):
        expected, value = raw[key].float().flatten(1), found[key].float().flatten(1)
        if expected.shape != value.shape or not bool(value.isfinite().all()):
            parity.add(f"{name}: {key} has another shape, or values that are not finite")
            continue
        scale = expected.abs().amax(dim=1).clamp(min=1e-6)
        relative = float(((value - expected).abs().amax(dim=1) / scale).max())
        parity.largest_difference[key] = max(relative, parity.largest_difference.get(key, 0.0))
        if relative > TOLERANCE:
            parity.add(f"{name}: {key} differs by {relative:.2g} of its largest value")


def _compare_predictions(
    name: str,
    expected: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    parity: Parity,
) -> None:
    if CONVERGED in found:
        parity.not_converged += int((~found[CONVERGED]).sum())
    if "boxes" in expected:
        for i in range(len(expected["boxes"])):
            keys = [key for key in _INSTANCE_KEYS if key in expected]
            of_image, of_file = ({key: part[key][i] for key in keys} for part in (expected, found))
            _compare_objects(f"{name}, image {i + 1}", of_image, of_file, parity)
        return
    if "mask" in expected:
        _compare_masks(name, expected["mask"], found["mask"], inputs["image_sizes"], parity)
        return
    difference = (expected["probabilities"] - found["probabilities"]).abs().amax(dim=1)
    for i in (difference > TOLERANCE).nonzero()[:, 0].tolist():
        parity.add(f"{name}, image {i + 1}: a probability differs by {float(difference[i]):.2g}")
    if "labels" in expected:
        top = expected["probabilities"].topk(min(2, expected["probabilities"].shape[1])).values
        close = top[:, 0] - top[:, -1] < TOLERANCE
        differs = expected["labels"] != found["labels"]
        parity.borderline += int((differs & close).sum())
        for i in (differs & ~close).nonzero()[:, 0].tolist():
            parity.add(
                f"{name}, image {i + 1}: class {int(found['labels'][i])} instead of {int(expected['labels'][i])}"
            )


def _compare_masks(name: str, expected: Tensor, found: Tensor, sizes: Tensor, parity: Parity) -> None:
    for i, (height, width) in enumerate(sizes.tolist()):
        equal = float((expected[i, :height, :width] == found[i, :height, :width]).float().mean())
        if equal < MIN_EQUAL_PIXELS:
            parity.add(f"{name}, image {i + 1}: {100 * equal:.2f} % of the pixels have the same class")


def _compare_objects(name: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor], parity: Parity) -> None:
    """Each object of one has one of the other: of its class, at its place, with its score.

    Where there are as many as an image may have, one with the score of the last, up to the tolerance, may be cut off in
    one of both.
    """
    is_full = bool((expected["labels"] >= 0).all())
    expected, found = ({key: value[part["labels"] >= 0] for key, value in part.items()} for part in (expected, found))
    iou, _ = generalized_iou(expected["boxes"][:, None].double(), found["boxes"][None].double())
    at_place = iou >= MIN_IOU
    at_place |= (expected["boxes"][:, None] - found["boxes"][None]).abs().amax(dim=2) <= _SAME_CORNER
    pairs = at_place & (expected["labels"][:, None] == found["labels"][None])
    pairs &= (expected["scores"][:, None] - found["scores"][None]).abs() <= TOLERANCE
    parity.detections += int(pairs.any(dim=1).sum())
    if "mask_logits" in expected:
        _compare_instance_masks(name, expected["mask_logits"], found["mask_logits"], pairs, parity)
    for part, missing, words in (
        (expected, ~pairs.any(dim=1), "is missing"), (found, ~pairs.any(dim=0), "is not the model's"),
    ):  # fmt: skip
        if not bool(missing.any()):
            continue
        last = part["scores"].min()
        rows = (part[key][missing] for key in _OBJECT_KEYS)
        for box, score, label in zip(*rows, strict=True):
            if is_full and float(score - last) <= TOLERANCE:
                parity.borderline += 1
                continue
            corners = ", ".join(f"{side:.1f}" for side in box.tolist())
            parity.add(f"{name}: the object of class {int(label)} at [{corners}], score {float(score):.4f}, {words}")


def _compare_instance_masks(name: str, expected: Tensor, found: Tensor, pairs: Tensor, parity: Parity) -> None:
    """The cells (n, S, S) and (m, S, S) of the objects of both, but where the model's own lie at the edge."""
    both = pairs.any(dim=1)
    expected, found = expected[both], found[pairs[both].int().argmax(dim=1)]
    differs = ((expected > 0) != (found > 0)) & (expected.abs() > TOLERANCE)
    if not bool(found.isfinite().all()) or float(differs.float().sum()) > (1 - MIN_EQUAL_PIXELS) * differs.numel():
        parity.add(f"{name}: {int(differs.sum())} of {differs.numel()} cells of the masks of its objects differ")


def parity_lines(parity: Parity) -> list[str]:
    """What a comparison has found, in words."""
    lines = [
        f"{name:12} differs by at most {value:.2g} of its largest value"
        for name, value in parity.largest_difference.items()
    ]
    counts = [f"{parity.images} images of the validation split", f"{parity.noise} of noise, alone and by threes"]
    found = f"; {parity.detections:,} objects found by both" if parity.detections else ""
    lines.append(f"compared on {' and '.join(counts)}{found}")
    if parity.sizes:
        sizes = ", ".join(f"{height}x{width}" for height, width in parity.sizes)
        multiple = f"; sides must be multiples of {parity.size_multiple}" if parity.size_multiple > 1 else ""
        lines.append(f"also at {sizes} pixels{multiple}")
    if parity.borderline:
        lines.append(f"{parity.borderline} differ where the model itself has no clear choice")
    if parity.not_converged:
        lines.append(f"{parity.not_converged} images had too many overlapping boxes for an exact suppression")
    return lines + [f"differs: {problem}" for problem in parity.problems]
