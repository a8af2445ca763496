"""The parts of tools/gpu_check.py; each writes a row as soon as it is known."""

from __future__ import annotations

import copy
import json
import math
import statistics
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

import visionkit as vk
from visionkit.config_files import read_group_file
from visionkit.models.prepare import prepare_model
from visionkit.settings import Hardware, Recipe
from visionkit.training.optimizers import make_optimizer

TASKS = {
    "classify": ("resnet50", "linear"),
    "detect": ("resnet50", "retinanet"),
    "segment": ("resnet50", "deeplabv3"),
    "instance": ("resnet50", "mask_rcnn"),
}
"""Backbone and head of each task; in a rehearsal a ResNet-18 and the task's small head."""
TOLERANCES = {"float32": 1e-3, "channels_last": 1e-3, "compiled": 1e-3, "bf16": 5e-2}
"""Of the distance to float64 on the CPU, as a share of its norm."""
LOSS_TOLERANCE = 0.02
"""Of the training loss of a few float32 steps on the GPU, beside those on the CPU."""
SPEEDRUN = (
    "task=classify backbone=airbench94 dataset=folder dataset.image_size=32 dataset.val_fraction=0.1 "
    "dataset.augment.random_crop.padding=4 head.label_smoothing=0.1"
)


class Rows:
    """A file of JSON lines that outlives its process.

    Args:
        file: Where rows are appended.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def add(self, name: str, *, fault: str | None = None, **figures: Any) -> None:
        """One row; a fault is what is wrong with it."""
        rounded = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in figures.items()}
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"name": name, "fault": fault, **rounded}) + "\n")

    def attempt(self, name: str, function: Callable[[], None]) -> None:
        """Call a function; an exception becomes a row with a fault."""
        try:
            function()
        except Exception as error:  # one failure is a row, and the next thing is tried
            self.add(name, fault=f"{type(error).__name__}: {error}"[:500])


def _device(rehearsal: bool) -> torch.device:
    return torch.device("cpu" if rehearsal else "cuda")


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def parity(rows: Rows, *, rehearsal: bool, cifar10: Path | None) -> None:
    """Raw outputs of each task's model in evaluation, on the GPU, beside float64 on the CPU."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    for task in TASKS:
        rows.attempt(task, lambda task=task: _compare_outputs(rows, task, rehearsal))  # type: ignore[misc]


def _compare_outputs(rows: Rows, task: str, rehearsal: bool) -> None:
    backbone, head = ("resnet18", None) if rehearsal else TASKS[task]
    size, device = (64 if rehearsal else 256), _device(rehearsal)
    torch.manual_seed(0)
    model = vk.create_model(task, backbone, num_classes=5, head=head, image_size=size).eval()
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    sizes = torch.full((2, 2), size)
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(images, sizes)
        for variant, tolerance in TOLERANCES.items():
            moved = copy.deepcopy(model).to(device)
            if variant in ("channels_last", "bf16"):
                moved.use_channels_last()
            if variant == "compiled":
                moved.compile()
            with torch.autocast(device.type, torch.bfloat16, enabled=variant == "bf16"):
                found = moved(images.to(device), sizes.to(device))
            floating = [name for name, value in expected.items() if value.is_floating_point()]
            error = max(_distance(found[name], expected[name]) for name in floating)
            fault = None if error <= tolerance else f"differs by more than {tolerance:g}"  # NaN is a fault
            rows.add(f"{task} {variant}", error=error, fault=fault)


def _distance(found: Tensor, expected: Tensor) -> float:
    found = found.detach().cpu().double()
    if found.shape != expected.shape:
        return math.inf
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


def training(rows: Rows, *, rehearsal: bool, cifar10: Path | None) -> None:
    """A short training of each task as the command does it."""
    limits = "debug.limit_batches=1 debug.batch_size=2" if rehearsal else "debug.limit_batches=20"
    short = ["recipe.epochs=1", *limits.split()]
    device = "hardware=cpu" if rehearsal else "hardware=gpu"

    def attempt(name: str, *words: str) -> None:
        rows.attempt(name, lambda: _train(rows, name, [*words, device, "hardware.precision=bf16", *short]))

    for task in TASKS:
        workers = 0 if rehearsal and task != "classify" else 2
        attempt(f"{task} bf16", f"task={task}", f"dataset.num_workers={workers}")
    attempt("classify compiled", "task=classify", "hardware.compile=true")
    rows.attempt("float32 beside the CPU", lambda: _compare_devices(rows, short, device))


def _train(rows: Rows, name: str, words: list[str]) -> None:
    began = time.perf_counter()
    run = vk.train(*words, progress=False)
    bad = [key for key, value in run.metrics.items() if key.endswith("loss") and not math.isfinite(value)]
    rate = float(run.history[-1]["images_per_second"])
    fault = f"not finite: {', '.join(bad)}" if bad else None
    rows.add(name, images_per_second=rate, seconds=time.perf_counter() - began, fault=fault)


def _compare_devices(rows: Rows, words: list[str], device: str) -> None:
    losses = [
        float(vk.train("task=classify", *words, hardware, progress=False).history[-1]["train/loss"])
        for hardware in ("hardware=cpu", device)
    ]
    difference = abs(losses[1] - losses[0]) / losses[0]
    fault = None if difference <= LOSS_TOLERANCE else f"differs by more than {LOSS_TOLERANCE:g}"
    rows.add("float32 beside the CPU", loss=losses[1], difference=difference, fault=fault)


def resnet50(rows: Rows, *, rehearsal: bool, cifar10: Path | None) -> None:
    """Training images per second in bf16 of four networks in turns; the ratios are ours to theirs."""
    batch, size, steps, rounds = (2, 32, 1, 1) if rehearsal else (256, 224, 10, 5)
    device = _device(rehearsal)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 1000, (batch,), device=device)
    sides: dict[str, Callable[[], None]] = {}
    for compiled in (False, True):
        suffix = "compiled" if compiled else "eager"
        sides[f"ours {suffix}"] = our_step(_our_resnet50(device, compile=compiled), images, labels)
        sides[f"torchvision {suffix}"] = _their_step(images, labels, compile=compiled, channels_last=False)
    sides["torchvision eager channels_last"] = _their_step(images, labels, compile=False, channels_last=True)
    speeds = _speeds(sides, batch * steps, steps=steps, rounds=rounds, device=device)
    for name, speed in speeds.items():
        rows.add(name, images_per_second=speed)
    for suffix in ("eager", "compiled"):
        rows.add(f"ours / torchvision {suffix}", ratio=speeds[f"ours {suffix}"] / speeds[f"torchvision {suffix}"])
    rows.add("ours compiled / torchvision eager", ratio=speeds["ours compiled"] / speeds["torchvision eager"])


def _our_resnet50(device: torch.device, *, compile: bool) -> Any:
    hardware = Hardware.from_config(read_group_file("hardware", "auto") | {"compile": compile})
    return prepare_model(vk.create_model("classify", "resnet50", num_classes=1000).to(device).train(), hardware)


def our_step(model: Any, images: Tensor, labels: Tensor) -> Callable[[], None]:
    """A training step in bf16 with the optimizer of recipe=sgd."""
    recipe = Recipe.from_config(read_group_file("recipe", "sgd"))
    optimizer = make_optimizer(model, settings=recipe.optimizer, lr=recipe.lr / 100)

    def step() -> None:
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = model.loss(model(images), {"label": labels})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _their_step(images: Tensor, labels: Tensor, *, compile: bool, channels_last: bool) -> Callable[[], None]:
    model: Any = torchvision.models.resnet50(weights=None).to(images.device).train()
    normalized = images.float() / 127.5 - 1
    if channels_last:
        model.to(memory_format=torch.channels_last)
        normalized = normalized.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=5e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)
    if compile:
        model.compile()

    def step() -> None:
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = nn.functional.cross_entropy(model(normalized), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _speeds(
    sides: dict[str, Callable[[], None]], images: int, *, steps: int, rounds: int, device: torch.device
) -> dict[str, float]:
    """Images per second of each side: the median over rounds, in which the sides take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for step in sides.values():
        for _ in range(1 if device.type == "cpu" else 3):  # compiles, and chooses convolutions
            step()
    for _ in range(rounds):
        for name, step in sides.items():
            _synchronize(device)
            began = time.perf_counter()
            for _ in range(steps):
                step()
            _synchronize(device)
            seconds[name].append(time.perf_counter() - began)
    return {name: images / statistics.median(values) for name, values in seconds.items()}


def retinanet(rows: Rows, *, rehearsal: bool, cifar10: Path | None) -> None:
    """RetinaNet on ResNet-50, beside its convolutions and torchvision's, by bench_detect.py."""
    import bench_detect

    file = rows.file.with_suffix(".retinanet.json")
    words = f"--heads retinanet --lines train predict --json {file} "
    if rehearsal:
        words += "--backbones resnet18 --size 64 --batch 1 --rounds 1 --seconds 0 --threads 1"
    else:
        words += "--backbones resnet50 --size 800 --batch 8 --rounds 5 --seconds 8 --threads 2 --device cuda --bf16"
    sys.argv = ["bench_detect.py", *words.split()]
    bench_detect.main()
    for row in json.loads(file.read_text(encoding="utf-8"))["rows"]:
        wall = row["wall"]
        rows.add(f"{row['line']} / {row['beside']}", ratio=wall["ratio"], ours_ms=wall["ours_ms"], wanted=row["limit"])


def speedrun(rows: Rows, *, rehearsal: bool, cifar10: Path | None) -> None:
    """The whole training of recipe=speedrun, and its images per second beside the bare step of its network."""
    root = _cifar10(rows, cifar10, images_per_class=4 if rehearsal else 500)
    words = [*SPEEDRUN.split(), f"dataset.root={root}", "hardware.precision=bf16", "recipe=speedrun"]
    if rehearsal:
        words += ["hardware=cpu", "recipe.epochs=1", "recipe.batch_size=8"]
    else:
        words += ["hardware=gpu"]
    run = vk.train(*words, progress=False)
    rate = statistics.median([float(row["images_per_second"]) for row in run.history][-5:])
    figures = {"test_accuracy": run.metrics["test/accuracy"], "training_seconds": run.metrics["training_seconds"]}
    rows.add("whole run", images_per_second=rate, epochs=len(run.history), noise=cifar10 is None, **figures)
    batch, device = int(run.config["recipe"]["batch_size"]), _device(rehearsal)
    hardware = Hardware.from_config(read_group_file("hardware", "auto"))
    model = prepare_model(vk.create_model("classify", "airbench94", num_classes=10).to(device).train(), hardware)
    images = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8, device=device)
    step = our_step(model, images, torch.randint(0, 10, (batch,), device=device))
    steps = 1 if rehearsal else 30
    bare = _speeds({"bare": step}, batch * steps, steps=steps, rounds=1 if rehearsal else 5, device=device)["bare"]
    rows.add("bare step", images_per_second=bare)
    rows.add("whole run / bare step", ratio=rate / bare)


def _cifar10(rows: Rows, given: Path | None, *, images_per_class: int) -> Path:
    """The folder of CIFAR-10, unpacked if it is an archive; noise where there is none."""
    if given is not None and given.is_dir():
        return given
    root = rows.file.with_name("cifar10")
    if given is not None:
        with tarfile.open(given) as archive:
            archive.extractall(root, filter="data")
        return root
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    for split in ("train", "test"):
        for label in range(10):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            pixels = torch.randint(0, 256, (images_per_class, 32, 32, 3), dtype=torch.uint8, generator=generator)
            for number, image in enumerate(pixels):
                Image.fromarray(image.numpy()).save(folder / f"{number}.png")
    return root


PARTS: dict[str, Callable[..., None]] = {
    "parity": parity, "training": training, "resnet50": resnet50, "retinanet": retinanet, "speedrun": speedrun,
}  # fmt: skip
