"""Whether an exported file gives what the run's model gives, image by image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visionkit.export.files import Runner
from visionkit.export.object_comparison import compare_objects, other_predictions
from visionkit.export.parity import MIN_EQUAL_PIXELS, TOLERANCE, Parity
from visionkit.models.onnx_model import CONVERGED

__all__ = ["check_parity", "compare_predictions"]


@torch.inference_mode()
def check_parity(
    runner: Runner,
    model: Any,
    batches: Iterable[tuple[str, Mapping[str, Tensor]]],
    *,
    parity: Parity,
    noise: bool,
    decode: bool = True,
) -> None:
    """Compare a file with a model on batches.

    Args:
        runner: The file.
        model: The `visionkit.models.VisionModel` of the run, on the CPU.
        batches: A name and the inputs of each.
        parity: What is found is added to it.
        noise: Whether the images are noise, of which predictions mean nothing.
        decode: Whether the file gives predictions, and not raw outputs alone.
    """
    for name, inputs in batches:
        raw = model(inputs["images"], inputs.get("image_sizes"))
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
        own, predicted = model.exported_outputs(raw), {}
        if decode:
            predicted = model.predict(raw, inputs.get("image_sizes"))
        _compare_names(name, {*own, *predicted}, found, parity)
        _compare_raw(name, own, found, parity)
        if predicted and not noise:
            compare_predictions(name, model, raw, found, inputs, parity)


def _compare_names(name: str, expected: set[str], found: Mapping[str, Tensor], parity: Parity) -> None:
    missing, unknown = sorted(expected - {*found}), sorted({*found} - expected - {CONVERGED})
    if missing or unknown:
        words = (f"without {', '.join(missing)}" if missing else "", f"with {', '.join(unknown)}" if unknown else "")
        parity.add(f"{name}: the file gives other outputs than the model: {' '.join(filter(None, words))}")


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


def compare_predictions(
    name: str,
    model: Any,
    raw: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    parity: Parity,
) -> None:
    """Compare predictions of a batch with those of a model.

    Args:
        name: Of the batch, for messages.
        model: As of `check_parity`.
        raw: The model's raw outputs.
        found: The predictions that are compared, by name, with a row per image.
        inputs: Of the batch.
        parity: What is found is added to it.
    """
    expected = {key: value for key, value in model.predict(raw, inputs.get("image_sizes")).items() if key in found}
    others = [key for key, value in expected.items() if value.shape != found[key].shape]
    if others:
        shapes = " instead of ".join(str(tuple(part[others[0]].shape)) for part in (found, expected))
        parity.add(f"{name}: {others[0]} has the shape {shapes}")
        return
    if CONVERGED in found:
        parity.not_converged += int((~found[CONVERGED]).sum())
    if "boxes" in expected:
        compare_objects(name, expected, found, parity, others=other_predictions(model, raw, inputs, parity))
        return
    if "mask" in expected:
        _compare_masks(name, expected["mask"], found["mask"], inputs["image_sizes"], parity)
        return
    difference = (expected["probabilities"] - found["probabilities"]).abs().amax(dim=1)
    for i in (~(difference <= TOLERANCE)).nonzero()[:, 0].tolist():
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
