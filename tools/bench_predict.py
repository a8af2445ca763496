"""What a `Predictor` adds to reading images and the model's plain forward pass.

Both read the same files with the same reader, in batches of the same size, and run the same model in evaluation mode:
by `Predictor.predict`, which gives objects in pixels of each file, and by the few lines a person would write instead.
They take turns in one process (ours, theirs, theirs, ours make a round). Their results are compared first: labels,
boxes or masks must be equal. The ratio is the median over rounds, of wall time and of the process's own CPU time, which
other work on the machine disturbs less.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paired_bench as bench
import torch
from paired_bench import Row
from PIL import Image
from torch import Tensor

from visionkit.data.images import ImageReader
from visionkit.data.transforms import InputTransform
from visionkit.inference.predictor import Predictor
from visionkit.models import VisionModel, create_model
from visionkit.models.folding import fold_norms
from visionkit.registry import load
from visionkit.structures.boxes import rescale_boxes
from visionkit.tasks.info import TASKS

NUM_CLASSES = 10
CASES = {
    "lenet digits": ("classify", "lenet", 1, 28, (28, 28), "png"),
    "resnet18 photos": ("classify", "resnet18", 3, 224, (480, 640), "jpg"),
    "fcos_small resnet18 photos": ("detect", "resnet18", 3, 256, (480, 640), "jpg"),
    "unet_small resnet18 photos": ("segment", "resnet18", 3, 256, (480, 640), "jpg"),
}
"""Task, backbone, channels, size of the model's images, height and width and form of the files."""


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="what is compared (all)")
    parser.add_argument("--rounds", type=int, default=7, help="the fewest rounds of each comparison (7)")
    parser.add_argument("--seconds", type=float, default=10, help="go on with rounds for so long (10)")
    parser.add_argument("--images", type=int, default=32, help="files of each case (32)")
    parser.add_argument("--batch", type=int, default=16, help="images per batch (16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    bench.keep_memory()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases:
            rows.append(compare(case, Path(folder), options))
            print(bench.describe_row(rows[-1]), file=sys.stderr, flush=True)
    report(bench.make_figures(rows, options, without=("json", "cases")))


def compare(case: str, folder: Path, options: argparse.Namespace) -> Row:
    """The figures of one case.

    Raises:
        SystemExit: If both give other results.
    """
    task, backbone, channels, side, file_size, suffix = CASES[case]
    paths = write_images(folder / case.replace(" ", "-"), options.images, file_size, channels=channels, suffix=suffix)
    torch.manual_seed(0)
    network = create_model(task, backbone, num_classes=NUM_CLASSES, in_channels=channels, image_size=side)
    model = fold_norms(network.eval())
    transform = InputTransform((side, side), "resize" if task == "classify" else "letterbox")
    reader = ImageReader(channels)
    data = {"class_names": [f"class {k}" for k in range(NUM_CLASSES)], "image_size": [side, side]}
    inference = load(TASKS[task].inference)(model, transform, data)
    predictor = Predictor(inference, reader, task=task, batch_size=options.batch)

    def plain() -> list[Any]:
        results: list[Any] = []
        for start in range(0, len(paths), options.batch):
            results += PLAIN[task](model, transform, reader, paths[start : start + options.batch])
        return results

    check_equal(task, predictor.predict(paths), plain())
    costs = bench.time_pair(lambda: predictor.predict(paths), plain, rounds=options.rounds, seconds=options.seconds)
    names = {"name": case, "memory_format": "contiguous", "pass": "predict"}
    return {**names, "images": len(paths), **bench.summarize(costs)}


def write_images(folder: Path, count: int, size: tuple[int, int], *, channels: int, suffix: str) -> list[Path]:
    """Files of smooth random pictures."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    paths = [folder / f"{number:03}.{suffix}" for number in range(count)]
    for path in paths:
        pixels = generator.integers(0, 256, (size[0] // 4, size[1] // 4, channels), dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).resize(size[::-1], Image.Resampling.BICUBIC).save(path)
    return paths


def read(transform: InputTransform, reader: ImageReader, paths: Sequence[Path]) -> tuple[list[Tensor], list[Any]]:
    """The images of files resized as in training, and their sizes."""
    images, sizes = [], []
    for path in paths:
        image = reader.read(path, target=transform.content_size)
        images.append(transform.place(image.pixels))
        sizes.append(image.size)
    return images, sizes


@torch.inference_mode()
def plain_classify(
    model: VisionModel, transform: InputTransform, reader: ImageReader, paths: Sequence[Path]
) -> list[Any]:
    """The most likely class of each image, and the probabilities."""
    images, _ = read(transform, reader, paths)
    outputs = model.predict(model(torch.stack([transform.pad(image) for image in images])))
    return list(zip(outputs["labels"].tolist(), outputs["probabilities"].tolist(), strict=True))


@torch.inference_mode()
def plain_detect(
    model: VisionModel, transform: InputTransform, reader: ImageReader, paths: Sequence[Path]
) -> list[Any]:
    """The boxes of each image in its own pixels."""
    images, sizes = read(transform, reader, paths)
    batch, image_sizes = transform.pad_batch(images)
    outputs = model.predict(model(batch, image_sizes), image_sizes)
    boxes = rescale_boxes(outputs["boxes"], image_sizes, torch.tensor(sizes))
    keep = outputs["labels"] >= 0
    return [(boxes[i][keep[i]], outputs["scores"][i][keep[i]]) for i in range(len(paths))]


@torch.inference_mode()
def plain_segment(
    model: VisionModel, transform: InputTransform, reader: ImageReader, paths: Sequence[Path]
) -> list[Any]:
    """The class of each pixel of each image; all files are of one size."""
    images, sizes = read(transform, reader, paths)
    batch, image_sizes = transform.pad_batch(images)
    logits = model(batch, image_sizes)["logits"]
    height, width = image_sizes[0].tolist()
    resized = (
        torch.nn.functional.interpolate(logit[None, :, :height, :width], size, mode="bilinear", align_corners=False)
        for logit, size in zip(logits, sizes, strict=True)
    )
    return [values[0].argmax(dim=0).to(torch.uint8) for values in resized]


PLAIN = {"classify": plain_classify, "detect": plain_detect, "segment": plain_segment}


def check_equal(task: str, ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    """End the program if the results differ.

    Raises:
        SystemExit: If they do.
    """
    if task == "classify":
        same = [p.class_id for p in ours] == [label for label, _ in theirs]
    elif task == "detect":
        same = all(np.allclose(p.boxes, boxes, atol=1e-3) for p, (boxes, _) in zip(ours, theirs, strict=True))
    else:
        same = all((p.mask != mask.numpy()).mean() < 1e-3 for p, mask in zip(ours, theirs, strict=True))
    if not same:
        sys.exit(f"{task}: the results differ")


def report(figures: dict[str, Any]) -> None:
    """Print the table."""
    bench.print_report(
        figures,
        title="Predictor, and reading with a plain forward pass",
        labels=[("case", bench.value("name"))],
        numbers=[
            ("images", bench.value("images")),
            *bench.time_columns("Predictor", "plain"),
            *bench.ratio_columns("wall"),
            *bench.ratio_columns("cpu"),
        ],
        note="Times are those of all images. A ratio below 1 means that the Predictor is faster.",
    )


if __name__ == "__main__":
    main()
