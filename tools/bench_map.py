"""COCO's twelve numbers through our metrics, and through pycocotools: the same detections, in turns, in one process.

Both sides start from the padded batches that a detector leaves behind and end with the numbers. Ours is
`DetectionMetrics` (torchmetrics with the faster_coco_eval back end), fed batch by batch. The other side is
pycocotools as one uses it by hand: lists of annotations and results, index, evaluate, accumulate, summarize.

The numbers must be equal (to 1e-9), or the script ends with exit code 1.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table
from torch import Tensor

from visionkit.metrics.detection import DetectionMetrics
from visionkit.runs.environment import describe_environment

STATS = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
IMAGE_SIZE, BATCH, MAX_OBJECTS = 640, 16, 15

Batch = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Predictions and truth of some images, padded."""


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000, help="(5000)")
    parser.add_argument("--detections", type=int, default=100, help="per image (100)")
    parser.add_argument("--classes", type=int, default=80, help="(80)")
    parser.add_argument("--rounds", type=int, default=3, help="of both sides, in turns (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    batches = make_batches(options)
    sides: dict[str, Callable[[], dict[str, float]]] = {
        "ours": lambda: by_our_metrics(batches, options.classes),
        "pycocotools": lambda: by_pycocotools(batches, options.classes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    numbers: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            numbers[name] = side()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    difference = max(abs(numbers["ours"][name] - numbers["pycocotools"][name]) for name in STATS)
    environment = describe_environment()
    environment["versions"] |= {package: version(package) for package in ("pycocotools", "faster-coco-eval")}
    figures = {
        "seconds": {name: [round(value, 3) for value in times] for name, times in seconds.items()},
        "times_faster": round(medians["pycocotools"] / medians["ours"], 2),
        "largest_difference": difference,
        "numbers": numbers,
        "options": {key: value for key, value in vars(options).items() if key != "json"},
        "environment": environment,
    }
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures, medians)
    if not difference <= 1e-9:
        sys.exit("the numbers differ: these are not the same evaluations")


def make_batches(options: argparse.Namespace) -> list[Batch]:
    """Random truth, a hundredth of it crowds, and detections of which the better half lies near some of it."""
    random = torch.Generator().manual_seed(0)
    return [
        make_batch(first, min(BATCH, options.images - first), options, random)
        for first in range(0, options.images, BATCH)
    ]


def make_batch(first: int, images: int, options: argparse.Namespace, random: torch.Generator) -> Batch:
    """Some images."""
    detections, classes = options.detections, options.classes
    truth_boxes = random_boxes((images, MAX_OBJECTS), random)
    truth_labels = torch.randint(classes, (images, MAX_OBJECTS), generator=random)
    counts = torch.randint(1 + MAX_OBJECTS, (images, 1), generator=random)
    absent = torch.arange(MAX_OBJECTS) >= counts
    chosen = torch.randint(MAX_OBJECTS, (images, detections // 2), generator=random).minimum((counts - 1).clamp(min=0))
    rows = torch.arange(images)[:, None]
    near = truth_boxes[rows, chosen] + 5 * torch.randn(images, detections // 2, 4, generator=random)
    near[..., 2:] = near[..., 2:].maximum(near[..., :2] + 1)
    far = random_boxes((images, detections - detections // 2), random)
    far_labels = torch.randint(classes, far.shape[:2], generator=random)
    scores = torch.rand(images, detections, generator=random).sort(dim=1, descending=True).values
    predictions = {
        "boxes": torch.cat([near, far], dim=1),
        "labels": torch.cat([truth_labels[rows, chosen], far_labels], dim=1),
        "scores": scores,
    }
    truth = {
        "truth_boxes": truth_boxes.masked_fill(absent[..., None], 0),
        "truth_labels": truth_labels.masked_fill(absent, -1),
        "truth_crowd": (torch.rand(absent.shape, generator=random) < 0.01) & ~absent,
        "truth_area": (truth_boxes[..., 2:] - truth_boxes[..., :2]).prod(dim=-1).masked_fill(absent, 0),
        "index": torch.arange(first, first + images),
    }
    return predictions, truth


def random_boxes(shape: tuple[int, int], random: torch.Generator) -> Tensor:
    """(*shape, 4) float32 xyxy within the image, small ones more often."""
    sides = 4 + 300 * torch.rand(*shape, 2, generator=random).square()
    corners = torch.rand(*shape, 2, generator=random) * (IMAGE_SIZE - sides)
    return torch.cat([corners, corners + sides], dim=-1)


def by_our_metrics(batches: list[Batch], classes: int) -> dict[str, float]:
    """The twelve numbers as a validation computes them."""
    metrics = DetectionMetrics([str(number) for number in range(classes)])
    for predictions, truth in batches:
        metrics.update(predictions, truth)
    return {name: float(value) for name, value in metrics.scalars().items()}


def by_pycocotools(batches: list[Batch], classes: int) -> dict[str, float]:
    """The twelve numbers as COCO's own code computes them."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    images: list[int] = []
    for predictions, truth in batches:
        prediction_columns = [as_xywh(predictions["boxes"])]
        prediction_columns += [predictions[name].tolist() for name in ("labels", "scores")]
        truth_columns = [as_xywh(truth["truth_boxes"])]
        truth_columns += [truth[name].tolist() for name in ("truth_labels", "truth_crowd", "truth_area")]
        for row, image in enumerate(truth["index"].tolist()):
            images.append(image)
            results += [
                {"image_id": image, "bbox": box, "category_id": label, "score": score}
                for box, label, score in zip(*(column[row] for column in prediction_columns), strict=True)
                if label >= 0
            ]
            annotations += [
                {"image_id": image, "bbox": box, "category_id": label, "iscrowd": int(crowd), "area": area}
                for box, label, crowd, area in zip(*(column[row] for column in truth_columns), strict=True)
                if label >= 0
            ]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        truth_set = COCO()
        truth_set.dataset = {
            "info": {},
            "images": [{"id": image} for image in images],
            "categories": [{"id": number} for number in range(classes)],
            "annotations": annotations,
        }
        truth_set.createIndex()
        evaluation = COCOeval(truth_set, truth_set.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(STATS, map(float, evaluation.stats), strict=True))


def as_xywh(boxes: Tensor) -> Any:
    """(B, N, 4) xyxy as lists of x, y, width, height, subtracted in double precision."""
    exact = boxes.double()
    return torch.cat([exact[..., :2], exact[..., 2:] - exact[..., :2]], dim=-1).tolist()


def report(figures: dict[str, Any], medians: dict[str, float]) -> None:
    """Print the figures for a person."""
    options, environment = figures["options"], figures["environment"]
    title = f"{options['images']} images x {options['detections']} detections x {options['classes']} classes"
    table = Table(title=title, title_justify="left")
    for column in ("side", "seconds, median", "all rounds", "mAP", "AP50"):
        table.add_column(column, justify="right")
    for name, times in figures["seconds"].items():
        scores = [f"{figures['numbers'][name][key]:.4f}" for key in ("map", "map_50")]
        table.add_row(name, f"{medians[name]:.2f}", " ".join(f"{value:.2f}" for value in times), *scores)
    console = Console(highlight=False, width=120)
    console.print(table)
    console.print(f"{figures['times_faster']} times faster; largest difference {figures['largest_difference']:.1e}")
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['cpu_cores']} cores, {environment['threads']} threads")


if __name__ == "__main__":
    main()
