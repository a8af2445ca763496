"""The speed of our detectors: what they add to their convolutions, and beside torchvision's of the same name.

Each line compares two things that lie in one process and take turns, with equal weights, images and objects:

train, predict   a training step (forward, loss, backward) and inference (forward to boxes after suppression) of ours
                 and of torchvision's, on padded batches; torchvision's resizing of images, which ours leaves to the
                 data, is left out, and memory formats are those that each comes with (ours is the trainer's,
                 channels last). "convolutions" is ours with nothing but backbone, pyramid and the head's layers.
                 For inference our norms are folded, as the verb predict has them. The class layer's bias is set so
                 that 300 boxes per image are above the score threshold.
assign           which object each anchor point answers for: 8 images of 640x640 with 100 boxes each, 80 classes.
assign+loss      the same with the losses, forward and backward from the head's raw outputs.

The ratio is the median over rounds of wall time, and of the process's own CPU time, which other work on the machine
disturbs less. The mean average precision has a script of its own: bench_map.py.
"""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any

import paired_bench as bench
import torch
from paired_bench import FORMATS, Row, Step
from reference_detectors import (
    NUM_CLASSES,
    OUTPUT_NAMES,
    Batch,
    torchvision_detector,
    torchvision_loss_fn,
    torchvision_targets,
)
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from visionkit.models import VisionModel, convert_state_dict, create_model, fold_norms

HEADS = {
    "fcos": {"type": "fcos", "centers": "corner", "score_threshold": 0.2},
    "retinanet": {"type": "retinanet", "centers": "corner", "max_detections": 300},
}
LINES = ("train", "predict", "assign", "assign+loss")
LIMITS = {"convolutions": 1.05, "torchvision": 0.95, "assign": 1 / 5, "assign+loss": 1 / 2}
"""The largest accepted ratios."""
NUM_OBJECTS, ASSIGNMENT_SIZE = 100, 640
NUM_CANDIDATES = 300


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS), help="(both)")
    parser.add_argument("--backbones", nargs="+", metavar="NAME", default=["resnet18", "resnet50"], help="ResNets")
    parser.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES), help="what is timed (all)")
    parser.add_argument("--rounds", type=int, default=5, help="the fewest rounds of each comparison (5)")
    parser.add_argument("--seconds", type=float, default=10, help="go on with rounds for so long (10)")
    parser.add_argument("--batch", type=int, default=4, help="images per batch of train and predict (4)")
    parser.add_argument("--size", type=int, default=256, help="their pixels per side (256)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (2)")
    parser.add_argument("--format", choices=FORMATS, default="channels_last", help="ours, and of the convolutions")
    parser.add_argument("--their-format", choices=FORMATS, default="contiguous", help="torchvision's, as it comes")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for train and predict (cpu)")
    parser.add_argument("--bf16", action="store_true", help="train and predict in bfloat16 by autocast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    bench.keep_memory()
    rows = []
    for head in options.heads:
        for backbone in options.backbones:
            if {"train", "predict"} & set(options.lines):
                rows += compare_models(head, backbone, options)
        if {"assign", "assign+loss"} & set(options.lines):
            rows += compare_assignment(head, options)
    report(bench.make_figures(rows, options))


def compare_models(head: str, backbone: str, options: argparse.Namespace) -> list[Row]:
    """Training steps and inference, each compared with the convolutions alone and with torchvision's model."""
    reference = torchvision_detector(head, backbone)
    model = create_model("detect", backbone, num_classes=NUM_CLASSES, head=HEADS[head], image_size=options.size)
    model.load_state_dict(convert_state_dict(reference.state_dict(), backbone, task="detect", head=HEADS[head]))
    device = torch.device(options.device)
    shape = (options.batch, 3, options.size, options.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(device)
    sizes = torch.full((options.batch, 2), options.size, device=device)
    targets = {name: x.to(device) for name, x in random_objects(options.batch, options.size, 10).items()}
    model.to(device)
    reference.to(device).to(memory_format=FORMATS[options.their_format])
    if options.format == "channels_last":
        model.use_channels_last()
    calibrate_bias(model, reference, images, sizes)
    image_list = [image / 255 for image in images]
    target_list = torchvision_targets(targets)

    def maps(model: VisionModel = model) -> list[Tensor]:
        normalized = model.normalize(images, sizes).contiguous(memory_format=FORMATS[options.format])
        return convolutions(model, normalized)

    with torch.no_grad():
        gradients = [torch.ones_like(x) for x in maps()]
    folded = fold_norms(copy.deepcopy(model))
    steps: dict[str, dict[str, Step]] = {
        "train": {
            "ours": lambda: total_loss(model.loss(model(images, sizes), targets)).backward(),
            "convolutions": lambda: torch.autograd.backward(maps(), gradients),
            "torchvision": lambda: total_loss(reference(image_list, target_list)).backward(),
        },
        "predict": {
            "ours": lambda: folded.predict(folded(images, sizes), sizes),
            "convolutions": lambda: maps(folded),
            "torchvision": lambda: reference(image_list),
        },
    }
    rows = []
    for line in [line for line in ("train", "predict") if line in options.lines]:
        model.train(line == "train")
        reference.train(line == "train")
        step = complete_step(steps[line]["ours"], model, line, options)
        for beside, module in (("convolutions", model), ("torchvision", reference)):
            other_step = complete_step(steps[line][beside], module, line, options)
            names = {"line": line, "head": head, "backbone": backbone, "beside": beside}
            rows.append(make_row(names, step, other_step, LIMITS[beside], options))
    return rows


def compare_assignment(head: str, options: argparse.Namespace) -> list[Row]:
    """Assignment, and assignment with losses, compared with torchvision's; both sides must agree."""
    reference = torchvision_detector(head, "resnet18")
    size = ASSIGNMENT_SIZE
    module = create_model("detect", "resnet18", num_classes=NUM_CLASSES, head=HEADS[head], image_size=size).head
    cells = [-(-size // level.stride) for level in module.levels.values()]
    features = {name: torch.zeros(1, 256, n, n) for name, n in zip(module.levels, cells, strict=True)}
    with torch.no_grad():
        outputs = module(features, (size, size))
    num_anchors = outputs["logits"].shape[1]
    generator = torch.Generator().manual_seed(1)
    random_outputs = {
        name: torch.randn(8, *x.shape[1:], generator=generator) - 4 * (name == "logits")
        for name, x in outputs.items()
        if x.shape[:2] == (1, num_anchors)
    }
    random_outputs = {name: x.abs() if name == "distances" else x for name, x in random_outputs.items()}
    outputs.update(random_outputs)
    targets = random_objects(8, size, NUM_OBJECTS)
    anchors = reference.anchor_generator(ImageList(torch.zeros(1, 3, size, size), [(size, size)]), [*features.values()])
    reference_fn = torchvision_loss_fn(
        head, reference, torchvision_targets(targets), anchors * 8, [n * n for n in cells]
    )

    def leaves() -> dict[str, Tensor]:
        return {name: x.detach().requires_grad_() for name, x in random_outputs.items()}

    def our_losses() -> dict[str, Tensor]:
        return module.loss({**outputs, **leaves()}, targets)

    def reference_losses() -> dict[str, Tensor]:
        renamed = {OUTPUT_NAMES[name]: x[..., None] if name == "quality" else x for name, x in leaves().items()}
        losses: dict[str, Tensor] = reference_fn(renamed, False)
        return losses

    for loss, expected in zip(our_losses().values(), reference_losses().values(), strict=True):
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    if not torch.equal(module.assign(outputs, targets), torch.stack(reference_fn({}, True))):
        sys.exit(f"{head}: the two sides assign other objects")
    steps: dict[str, tuple[Step, Step]] = {
        "assign": (lambda: module.assign(outputs, targets), lambda: reference_fn({}, True)),
        "assign+loss": (
            lambda: total_loss(our_losses()).backward(),
            lambda: total_loss(reference_losses()).backward(),
        ),
    }
    rows = []
    for line in [line for line in steps if line in options.lines]:
        names = {"line": line, "head": head, "backbone": "", "beside": "torchvision"}
        rows.append(make_row(names, *steps[line], LIMITS[line], options))
    return rows


def make_row(names: dict[str, str], ours: Step, theirs: Step, limit: float, options: argparse.Namespace) -> Row:
    """Time two steps; the row of the table is printed at once."""
    costs = bench.time_pair(ours, theirs, rounds=options.rounds, seconds=options.seconds)
    row = {**names, **bench.summarize(costs), "limit": limit}
    print(describe(row), file=sys.stderr, flush=True)
    return row


def convolutions(model: VisionModel, images: Tensor) -> list[Tensor]:
    """The maps of backbone, pyramid and the head's layers."""
    features = model.neck(model.backbone(images))  # type: ignore[misc]
    head = model.head
    predictors = [getattr(head, name) for name in ("distances", "deltas", "quality") if hasattr(head, name)]
    maps = []
    for x in (features[level] for level in head.levels):
        classification, regression = head.classification(x), head.regression(x)
        maps.append(head.logits(classification))
        maps += [predictor(regression) for predictor in predictors]
    return maps


@torch.no_grad()
def calibrate_bias(model: VisionModel, reference: Any, images: Tensor, sizes: Tensor) -> None:
    """Set the bias of both class layers so that ``NUM_CANDIDATES`` boxes per image pass the score threshold."""
    model.eval()
    threshold = model.head.spec.score_threshold
    outputs = model(images, sizes)
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        passing = model.head.scores({**outputs, "logits": outputs["logits"] + middle}) > threshold
        low, high = (low, middle) if passing.sum() > NUM_CANDIDATES * len(images) else (middle, high)
    for bias in (model.head.logits.bias, reference.head.classification_head.cls_logits.bias):
        bias += low


def complete_step(step: Step, model: nn.Module, line: str, options: argparse.Namespace) -> Step:
    """A step that drops gradients and waits for the GPU at its end."""

    def run() -> None:
        with (
            torch.autocast(options.device, torch.bfloat16, enabled=options.bf16),
            torch.set_grad_enabled(line == "train"),
        ):
            step()
        for parameter in model.parameters():
            parameter.grad = None
        if options.device != "cpu":
            torch.cuda.synchronize()

    return run


def random_objects(num_images: int, size: int, num_objects: int) -> Batch:
    """Boxes and labels, padded as a data set pads them."""
    generator = torch.Generator().manual_seed(0)
    padded = -(-num_objects // 8) * 8
    boxes, labels = torch.zeros(num_images, padded, 4), torch.full((num_images, padded), -1)
    low = torch.rand(num_images, num_objects, 2, generator=generator) * size * 0.75
    high = low + torch.rand(low.shape, generator=generator) * size * 0.2 + 8
    boxes[:, :num_objects] = torch.cat([low, high], dim=2)
    labels[:, :num_objects] = torch.randint(0, NUM_CLASSES, (num_images, num_objects), generator=generator)
    return {"boxes": boxes, "labels": labels}


def total_loss(losses: dict[str, Tensor]) -> Tensor:
    """The sum of all losses."""
    return torch.stack(list(losses.values())).sum()


def describe(row: Row) -> str:
    """One row in one line."""
    name = " ".join(filter(None, (row["line"], row["head"], row["backbone"])))
    ratios = ", ".join(f"{kind} {bench.ratio(row, kind)}" for kind in ("wall", "cpu"))
    return f"{name} / {row['beside']}: {ratios}, wanted at most {row['limit']:.2f}, {row['rounds']} rounds"


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options = figures["options"]
    bench.print_report(
        figures,
        title="ours / the other, medians",
        labels=[(key, bench.value(key)) for key in ("line", "head", "backbone", "beside")],
        numbers=[
            *bench.time_columns("ours", "the other"),
            *bench.ratio_columns("wall"),
            *bench.ratio_columns("cpu")[:1],
            ("wanted", lambda row: f"{row['limit']:.2f}"),
        ],
        note=f"{options['batch']} images of {options['size']}x{options['size']}, {options['format']} (torchvision's "
        f"{options['their_format']}), threads: "
        f"{options['threads']}, {options['device']}{', bf16' if options['bf16'] else ''}; ms of wall time",
    )


if __name__ == "__main__":
    main()
