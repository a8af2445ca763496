"""The speed of our detectors: what they add to their convolutions, and beside torchvision's of the same name.

Each line compares two things that lie in one process and take turns, with equal weights, images and objects:

train, predict   a training step (forward, loss, backward) and inference (forward to boxes after suppression) of ours
                 and of torchvision's, on padded batches; torchvision's resizing of images, which ours leaves to the
                 data, is left out, and memory formats are those that each comes with (ours is the trainer's,
                 channels last). "convolutions" is ours with nothing but backbone, pyramid and the head's layers.
                 For inference our norms are folded, as the verb predict has them. The class layer's bias is set so
                 that 300 boxes per image are above the score threshold.
assign           which object each place answers for: 8 images of 640x640 with 100 boxes each, 80 classes.
assign+loss      the same with the losses, forward and backward from the head's raw outputs.

The ratio is the median over rounds of wall time, and of the process's own CPU time, which other work on the machine
disturbs less. The mean average precision has a script of its own: bench_map.py.
"""

import argparse
import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from bench_backbones import FORMATS, keep_memory, summary, take_turns
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from visionkit.models import VisionModel, convert_state_dict, create_model, fold_norms
from visionkit.runs.environment import describe_environment

HEADS = {
    "fcos": {"type": "fcos", "centers": "corner", "score_threshold": 0.2},
    "retinanet": {"type": "retinanet", "norm": "none", "centers": "corner", "max_detections": 300},
}
LINES = ("train", "predict", "assign", "assign+loss")
LIMITS = {"convolutions": 1.05, "torchvision": 0.95, "assign": 1 / 5, "assign+loss": 1 / 2}
"""The largest ratio that is wanted."""
CLASSES, OBJECTS, LARGE = 80, 100, 640
CANDIDATES = 300
NAMES = {
    "logits": "cls_logits", "distances": "bbox_regression", "deltas": "bbox_regression", "quality": "bbox_ctrness",
}  # fmt: skip
"""Of raw outputs in torchvision."""

Step = Callable[[], Any]
Batch = dict[str, Tensor]


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
    keep_memory()
    rows = []
    for head in options.heads:
        for backbone in options.backbones:
            if {"train", "predict"} & set(options.lines):
                rows += whole_models(head, backbone, options)
        if {"assign", "assign+loss"} & set(options.lines):
            rows += targets_alone(head, options)
    figures = {
        "rows": rows,
        "options": {key: value for key, value in vars(options).items() if key != "json"},
        "environment": describe_environment(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures)


def whole_models(head: str, backbone: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Training steps and inference, each beside the convolutions and beside torchvision's."""
    theirs = of_torchvision(head, backbone)
    ours = create_model("detect", backbone, num_classes=CLASSES, head=HEADS[head], image_size=options.size)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), backbone, task="detect", head=HEADS[head]))
    device = torch.device(options.device)
    images = random_images(options.batch, options.size).to(device)
    sizes = torch.full((options.batch, 2), options.size, device=device)
    truth = {name: value.to(device) for name, value in random_objects(options.batch, options.size, 10).items()}
    ours.to(device)
    theirs.to(device).to(memory_format=FORMATS[options.their_format])
    if options.format == "channels_last":
        ours.use_channels_last()
    make_sure_of_some(ours, theirs, images, sizes)
    alone = [image / 255 for image in images]
    listed = as_list(truth)

    def maps(ours: VisionModel = ours) -> list[Tensor]:
        return convolutions(ours, ours.transform(images, sizes).contiguous(memory_format=FORMATS[options.format]))

    with torch.no_grad():
        gradients = [torch.ones_like(x) for x in maps()]
    folded = fold_norms(copy.deepcopy(ours))
    steps: dict[str, dict[str, Step]] = {
        "train": {
            "ours": lambda: total(ours.loss(ours(images, sizes), truth)).backward(),
            "convolutions": lambda: torch.autograd.backward(maps(), gradients),
            "torchvision": lambda: total(theirs(alone, listed)).backward(),
        },
        "predict": {
            "ours": lambda: folded.predict(folded(images, sizes), sizes),
            "convolutions": lambda: maps(folded),
            "torchvision": lambda: theirs(alone),
        },
    }
    rows = []
    for line in [line for line in ("train", "predict") if line in options.lines]:
        for model in (ours, theirs):
            model.train(line == "train")
        mine = finished(steps[line]["ours"], ours, line, options)
        for other, model in (("convolutions", ours), ("torchvision", theirs)):
            side = finished(steps[line][other], model, line, options)
            rounds = take_turns(mine, side, rounds=options.rounds, seconds=options.seconds)
            rows.append({"line": line, "head": head, "backbone": backbone, "beside": other, **summary(rounds)})
            rows[-1]["limit"] = LIMITS[other]
            print(describe(rows[-1]), file=sys.stderr, flush=True)
    return rows


def targets_alone(head: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Assignment, and assignment with losses, beside torchvision's; both sides must agree."""
    theirs = of_torchvision(head, "resnet18")
    ours = create_model("detect", "resnet18", num_classes=CLASSES, head=HEADS[head], image_size=LARGE).head
    cells = [-(-LARGE // level.stride) for level in ours.levels.values()]
    features = {name: torch.zeros(1, 256, n, n) for name, n in zip(ours.levels, cells, strict=True)}
    with torch.no_grad():
        outputs = ours(features, (LARGE, LARGE))
    places = outputs["logits"].shape[1]
    generator = torch.Generator().manual_seed(1)
    said = {
        name: torch.randn(8, *value.shape[1:], generator=generator) - 4 * (name == "logits")
        for name, value in outputs.items()
        if value.shape[:2] == (1, places)
    }
    said = {name: value.abs() if name == "distances" else value for name, value in said.items()}
    outputs.update(said)
    truth = random_objects(8, LARGE, OBJECTS)
    anchors = theirs.anchor_generator(
        ImageList(torch.zeros(1, 3, LARGE, LARGE), [(LARGE, LARGE)]), [*features.values()]
    )
    theirs_judge = judge_of_torchvision(head, theirs, as_list(truth), anchors * 8, [n * n for n in cells])

    def leaves() -> dict[str, Tensor]:
        return {name: value.detach().requires_grad_() for name, value in said.items()}

    def our_loss() -> dict[str, Tensor]:
        return ours.loss({**outputs, **leaves()}, truth)

    def their_loss() -> dict[str, Tensor]:
        found = {NAMES[name]: value[..., None] if name == "quality" else value for name, value in leaves().items()}
        losses: dict[str, Tensor] = theirs_judge(found, False)
        return losses

    for mine, other in zip(our_loss().values(), their_loss().values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    if not torch.equal(ours.assign(outputs, truth), torch.stack(theirs_judge({}, True))):
        sys.exit(f"{head}: the two sides assign other objects")
    steps: dict[str, tuple[Step, Step]] = {
        "assign": (lambda: ours.assign(outputs, truth), lambda: theirs_judge({}, True)),
        "assign+loss": (lambda: total(our_loss()).backward(), lambda: total(their_loss()).backward()),
    }
    rows = []
    for line in [line for line in steps if line in options.lines]:
        rounds = take_turns(*steps[line], rounds=options.rounds, seconds=options.seconds)
        rows.append({"line": line, "head": head, "backbone": "", "beside": "torchvision", **summary(rounds)})
        rows[-1]["limit"] = LIMITS[line]
        print(describe(rows[-1]), file=sys.stderr, flush=True)
    return rows


def of_torchvision(head: str, backbone: str) -> nn.Module:
    """Torchvision's detector on a ResNet, which takes images as they are."""
    torch.manual_seed(0)
    body = getattr(torchvision.models, backbone)(weights=None)
    pyramid = _resnet_fpn_extractor(body, 5, [2, 3, 4], LastLevelP6P7(256, 256))
    model: nn.Module = (detection.FCOS if head == "fcos" else detection.RetinaNet)(pyramid, CLASSES)
    model.transform.resize = lambda image, target=None: (image, target)  # type: ignore[assignment, union-attr]
    return model


def judge_of_torchvision(
    head: str, model: Any, targets: list[Batch], anchors: list[Tensor], places: list[int]
) -> Callable[[dict[str, Tensor], bool], Any]:
    """Torchvision's losses from raw outputs, or which object each place answers for, alone."""
    judge = model.head.compute_loss

    def run(outputs: dict[str, Tensor], assign_alone: bool) -> Any:
        model.head.compute_loss = (lambda *arguments: arguments[-1]) if assign_alone else judge
        rest = (places,) if head == "fcos" else ()
        return model.compute_loss(targets, outputs, anchors, *rest)

    return run


def convolutions(model: VisionModel, images: Tensor) -> list[Tensor]:
    """The maps of backbone, pyramid and the head's layers."""
    features = model.neck(model.backbone(images))  # type: ignore[misc]
    maps = []
    for x in (features[level] for level in model.head.levels):
        judged, moved = model.head.classification(x), model.head.regression(x)
        maps.append(model.head.logits(judged))
        maps += [
            getattr(model.head, name)(moved) for name in ("distances", "deltas", "quality") if hasattr(model.head, name)
        ]
    return maps


@torch.no_grad()
def make_sure_of_some(ours: VisionModel, theirs: Any, images: Tensor, sizes: Tensor) -> None:
    """Give both class layers the bias with which so many boxes of each image pass the score threshold."""
    ours.eval()
    threshold = ours.head.spec.score_threshold
    outputs = ours(images, sizes)
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        passing = ours.head.scores({**outputs, "logits": outputs["logits"] + middle}) > threshold
        low, high = (low, middle) if passing.sum() > CANDIDATES * len(images) else (middle, high)
    for bias in (ours.head.logits.bias, theirs.head.classification_head.cls_logits.bias):
        bias += low


def finished(step: Step, model: nn.Module, line: str, options: argparse.Namespace) -> Callable[[], None]:
    """A step to its very end: gradients are dropped, and a GPU has done its work."""

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


def random_images(count: int, size: int) -> Tensor:
    """(count, 3, size, size) uint8."""
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def random_objects(count: int, size: int, objects: int) -> Batch:
    """Boxes and labels, padded as a data set pads them."""
    generator = torch.Generator().manual_seed(0)
    room = -(-objects // 8) * 8
    boxes, labels = torch.zeros(count, room, 4), torch.full((count, room), -1)
    near = torch.rand(count, objects, 2, generator=generator) * size * 0.75
    boxes[:, :objects] = torch.cat([near, near + torch.rand(near.shape, generator=generator) * size * 0.2 + 8], dim=2)
    labels[:, :objects] = torch.randint(0, CLASSES, (count, objects), generator=generator)
    return {"boxes": boxes, "labels": labels}


def as_list(truth: Batch) -> list[Batch]:
    """The targets as torchvision takes them."""
    return [
        {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0]}
        for boxes, labels in zip(truth["boxes"], truth["labels"], strict=True)
    ]


def total(losses: dict[str, Tensor]) -> Tensor:
    """What is minimised."""
    return torch.stack(list(losses.values())).sum()


def describe(row: dict[str, Any]) -> str:
    """One row in one line."""
    name = " ".join(filter(None, (row["line"], row["head"], row["backbone"])))
    ratios = ", ".join(f"{kind} {row[kind]['ratio']:.3f}" for kind in ("wall", "cpu"))
    return f"{name} / {row['beside']}: {ratios}, wanted at most {row['limit']:.2f}, {row['rounds']} rounds"


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options, environment = figures["options"], figures["environment"]
    table = Table(title="ours / the other, medians", title_justify="left")
    for heading in ("line", "head", "backbone", "beside"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ours", "the other", "wall ratio", "quartiles", "CPU ratio", "wanted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in figures["rows"]:
        low, high = row["wall"]["quartiles"]
        table.add_row(
            *(row[key] for key in ("line", "head", "backbone", "beside")),
            *(f"{row['wall'][side]:.1f} ms" for side in ("ours_ms", "theirs_ms")),
            *(f"{row['wall']['ratio']:.3f}", f"{low:.3f} {high:.3f}", f"{row['cpu']['ratio']:.3f}"),
            f"{row['limit']:.2f}",
        )
    console = Console(highlight=False, width=150)
    console.print(table)
    console.print(
        f"{options['batch']} images of {options['size']}x{options['size']}, {options['format']} (torchvision's "
        f"{options['their_format']}), threads: "
        f"{options['threads']}, {options['device']}{', bf16' if options['bf16'] else ''}; ms of wall time"
    )
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['cpu_cores']} cores")


if __name__ == "__main__":
    main()
