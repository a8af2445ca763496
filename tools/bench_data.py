"""The speed of reading photos: JPEG files decoded and resized, beside Pillow or torchvision's decoder with its resize.

Photos of 640x480 and 1280x960 pixels, made of scikit-learn's two, are brought to 224x224, uint8 (C, H, W): by
`visionkit.data.images.ImageReader` with the transform of a data set; by Pillow and `torchvision.transforms.v2`; and by
`torchvision.io.decode_jpeg` and v2. Both sides take turns in one process (ours, theirs, theirs, ours make a round), on
one thread; the ratio is the median over rounds, of wall time and of the process's own CPU time, which other work on the
machine disturbs less. With ``--workers`` batches come from processes of a loader instead, whose CPU time counts too.

The mean difference from an exact resize of all pixels, in floats, is printed in levels of 255.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paired_bench as bench
import torch
from paired_bench import Row
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2 import Resize, functional

from visionkit.data.images import ImageReader
from visionkit.data.transforms import InputTransform

SIZE = (224, 224)
PHOTOS = {"640x480": (1, 8), "1280x960": (2, 4)}
"""Parts of 640x480 along a side, and the number of files."""
LIMITS = {
    ("640x480", "Pillow and v2"): 0.95,
    ("640x480", "torchvision and v2"): 1.05,
    ("1280x960", "Pillow and v2"): 0.55,
    ("1280x960", "torchvision and v2"): 0.7,
}

transform = InputTransform(SIZE)
reader = ImageReader(3)
resize = Resize(SIZE, antialias=True)


def ours(path: str) -> Tensor:
    """Decoded and resized as for training, evaluation and prediction."""
    return transform.place(reader.read(path, target=transform.content_size).pixels)


def pillow(path: str) -> Tensor:
    """Pillow's decoder, then v2's resize of the tensor, which is faster than that of Pillow's image."""
    with Image.open(path) as image:
        return resize(functional.pil_to_tensor(image.convert("RGB")))


def torchvision(path: str) -> Tensor:
    """Torchvision's decoder and resize."""
    return resize(decode_jpeg(read_file(path), mode=ImageReadMode.RGB))


THEIRS = {"Pillow and v2": pillow, "torchvision and v2": torchvision}


class Files(Dataset):
    """Images of files."""

    def __init__(self, paths: list[str], read: Callable[[str], Tensor], repeats: int) -> None:
        self.paths, self.read = paths * repeats, read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        torch.set_num_threads(1)
        return self.read(self.paths[index])


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="the fewest rounds of each comparison (30)")
    parser.add_argument("--seconds", type=float, default=10, help="go on with rounds for so long (10)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="0 for this process (0 2)")
    parser.add_argument("--quality", type=int, default=85, help="of the JPEG files (85)")
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 0
    torch.set_num_threads(1)
    bench.keep_memory()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size, (tiles, count) in PHOTOS.items():
            paths = make_photos(Path(folder) / size, tiles, count, options.quality)
            for library, theirs in THEIRS.items():
                for workers in options.workers:
                    rows.append(compare(paths, theirs, workers, options) | labels(size, library, workers, paths))
    note = "Difference: mean over pixels from an exact resize of all pixels, of the worst file; at most 2 of 255."
    bench.print_report(
        bench.make_figures(rows, options),
        title=f"JPEG files to {SIZE[1]}x{SIZE[0]}, per file",
        labels=[("photo", bench.value("photo")), ("beside", bench.value("beside")), ("on", bench.value("on"))],
        numbers=[
            ("ours", lambda row: f"{row['cpu']['ours_ms']:.2f} ms"),
            ("theirs", lambda row: f"{row['cpu']['theirs_ms']:.2f} ms"),
            *bench.ratio_columns("cpu"),
            ("at most", lambda row: f"{row['limit']:.2f}"),
            *bench.ratio_columns("wall")[:1],
            ("difference", lambda row: f"{row['difference']:.2f}"),
        ],
        note=note,
    )


def make_photos(folder: Path, tiles: int, count: int, quality: int) -> list[str]:
    """Photos of parts of scikit-learn's two, which were reduced: enlarged by a third, as sharp as a camera's."""
    folder.mkdir(parents=True)
    sources = [
        Image.fromarray(photo).resize((853, 569), Image.Resampling.BICUBIC) for photo in load_sample_images().images
    ]
    paths = []
    for index in range(count):
        photo = Image.new("RGB", (640 * tiles, 480 * tiles))
        for tile in range(tiles * tiles):
            left, top = 25 * (index + tile), 10 * (index + tile)
            part = sources[(index + tile) % 2].crop((left, top, left + 640, top + 480))
            photo.paste(part, (640 * (tile % tiles), 480 * (tile // tiles)))
        paths.append(str(folder / f"{index}.jpg"))
        photo.save(paths[-1], quality=quality)
    return paths


def labels(size: str, library: str, workers: int, paths: list[str]) -> Row:
    """The texts of a row, its limit, and the largest difference of a file."""
    differences = []
    for path in paths:
        pixels = functional.pil_to_tensor(Image.open(path).convert("RGB")).float()
        exact = functional.resize(pixels, list(SIZE), antialias=True)
        differences.append(float((ours(path).float() - exact).abs().mean()))
    return {
        "photo": size,
        "beside": library,
        "on": f"{workers} workers" if workers else "1 thread",
        "limit": LIMITS[size, library],
        "difference": round(max(differences), 3),
    }


def compare(paths: list[str], theirs: Callable[[str], Tensor], workers: int, options: Any) -> Row:
    """The summary of both sides, per file."""
    if workers:
        return compare_workers(paths, theirs, workers, options)

    def all_files(read: Callable[[str], Tensor]) -> Callable[[], None]:
        def step() -> None:
            for path in paths:
                read(path)

        return step

    costs = bench.time_pair(all_files(ours), all_files(theirs), rounds=options.rounds, seconds=options.seconds)
    count = len(paths)
    return bench.summarize([(scaled(a, count), scaled(b, count)) for a, b in costs])


def compare_workers(paths: list[str], theirs: Callable[[str], Tensor], workers: int, options: Any) -> Row:
    """As `compare`, with the CPU time of workers that have ended; that of their start is measured and taken off."""
    repeats = 4 if options.quick else 40

    def epoch(read: Callable[[str], Tensor], times: int) -> tuple[float, float, float]:
        start, before = time.perf_counter(), cpu_seconds()
        for _ in DataLoader(Files(paths, read, times), batch_size=4, num_workers=workers):
            pass
        return time.perf_counter() - start, cpu_seconds() - before, 0.0

    costs = []
    for _ in range(max(3, options.rounds // 6)):
        first, second, third, fourth = (
            per_file(epoch(read, repeats), epoch(read, 1), len(paths) * (repeats - 1))
            for read in (ours, theirs, theirs, ours)
        )
        costs.append((mean(first, fourth), mean(second, third)))
    return bench.summarize(costs)


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def per_file(long: bench.Cost, short: bench.Cost, count: int) -> bench.Cost:
    """The cost of one file, from an epoch and a shorter one."""
    wall, cpu, faults = ((a - b) / count for a, b in zip(long, short, strict=True))
    return wall, cpu, faults


def scaled(cost: bench.Cost, count: int) -> bench.Cost:
    """The cost of one of so many files."""
    return cost[0] / count, cost[1] / count, cost[2] / count


def mean(a: bench.Cost, b: bench.Cost) -> bench.Cost:
    """The mean of two costs."""
    wall, cpu, faults = (statistics.mean(pair) for pair in zip(a, b, strict=True))
    return wall, cpu, faults


if __name__ == "__main__":
    main()
