"""What `check` costs: headers and forms, annotations of COCO's size, and pixels.

headers      images a second of a warm folder, all of the check but its imports        at least 3,000
annotations  the check of 118,000 images and 830,000 objects whose headers are in the cache, beside the seconds that
             pycocotools takes to load the same file; and the most memory of the whole   at most 1.3 times, 3 GiB
pixels       `deep=true` on photos, beside decoding each of them, in processor time    at most 1.2 times
again        the second check with cache=, beside the first                            at most 0.1 times

python tools/bench_check.py --json docs/check_speed.json
python tools/bench_check.py --quick
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy
from bench_annotations import make_annotations
from PIL import Image
from rich.console import Console
from rich.table import Table

import visionkit as vk
from visionkit.checking.pixel_scan import scan_pixels
from visionkit.runs.environment import describe_environment

LIMITS = {
    "images a second": ("at least", 3_000.0),
    "check / pycocotools": ("at most", 1.3),
    "memory, GiB": ("at most", 3.0),
    "deep / decoding": ("at most", 1.2),
    "second / first": ("at most", 0.1),
}
CHILD = "--memory-of"


def main() -> int:
    """Measure, print a table, write JSON; 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, whose ratios say little; exit code 0")
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument(CHILD, type=Path, dest="memory_of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of is not None:
        check_coco(options.memory_of)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root, scale = Path(folder), 100 if options.quick else 1
        figures = {
            **headers(root / "folder", 40_000 // scale),
            **annotations(root / "coco", 118_000 // scale),
            **pixels(root / "photos", 300 // min(scale, 10)),
        }
    missed = [name for name, value in figures.items() if name in LIMITS and not holds(name, value)]
    print_table(figures)
    if options.json is not None:
        content = {"figures": figures, "missed": missed, "environment": describe_environment()}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(bool(missed) and not options.quick)


def holds(name: str, value: float) -> bool:
    """Whether a figure keeps its limit."""
    kind, limit = LIMITS[name]
    return value >= limit if kind == "at least" else value <= limit


def photo(seed: int, *, height: int, width: int) -> bytes:
    """A JPEG file of large and small shapes."""
    random = numpy.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (height // 12, width // 12, 3), dtype=numpy.uint8))
    content = io.BytesIO()
    small.resize((width, height)).save(content, "JPEG", quality=88)
    return content.getvalue()


def headers(root: Path, count: int) -> dict[str, float]:
    """Images a second of a folder of two classes."""
    contents = [photo(seed, height=96, width=128) for seed in range(20)]
    for number in range(count):
        split = "val" if number % 5 == 0 else "train"
        file = root / split / ("cat", "dog")[number % 2] / f"{number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents[number % 20] + number.to_bytes(4, "big") * 2)  # no two files are the same
    words = ("dataset=folder", f"dataset.root={root}", "backbone=resnet18", "dataset.image_size=64")
    seconds = min(_seconds(lambda: vk.check(*words)) for _ in range(2))
    return {"images": count, "headers, seconds": seconds, "images a second": count / seconds}


def annotations(root: Path, count: int) -> dict[str, float]:
    """The check of a COCO file whose headers are known, beside pycocotools; and the memory of the whole check."""
    from pycocotools.coco import COCO

    (root / "annotations").mkdir(parents=True)
    file = root / "annotations" / "train.json"
    make_annotations(file, count)
    (root / "train").mkdir()
    content = photo(0, height=480, width=640)
    for number in range(count):
        (root / "train" / f"{number:012}.jpg").write_bytes(content + number.to_bytes(4, "big") * 2)

    def theirs() -> None:
        with contextlib.redirect_stdout(None):
            COCO(str(file))

    kept = root.with_name("kept-headers")
    check_coco(root, cache=kept)
    ours, others = [], []
    for _ in range(2):
        ours.append(_seconds(lambda: check_coco(root, cache=kept)))
        others.append(_seconds(theirs))
    child = subprocess.run(
        [sys.executable, __file__, CHILD, str(root)], check=True, capture_output=True, text=True, env=os.environ
    )
    return {
        "objects": 7 * count, "annotations, seconds": min(ours), "pycocotools, seconds": min(others),
        "check / pycocotools": min(ours) / min(others), "memory, GiB": int(child.stdout) / 2**20,
    }  # fmt: skip


def check_coco(root: Path, cache: Path | None = None) -> Any:
    """The check of the made COCO files, for detection."""
    return vk.check(
        "dataset=coco", f"dataset.root={root}", "backbone=resnet18", "dataset.image_size=320",
        "dataset.compare_contents=false", cache=cache,
    )  # fmt: skip


def pixels(root: Path, count: int) -> dict[str, float]:
    """Pixels beside plain decoding, and the second check with a cache beside the first."""
    root.mkdir()
    files = []
    for number in range(count):
        files.append(root / ("train", "val")[number % 5 == 0] / ("cat", "dog")[number % 2] / f"{number}.jpg")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        files[-1].write_bytes(photo(number, height=480, width=640))
    paths = [os.fsencode(file) for file in files]

    def decode() -> None:
        for file in files:
            with Image.open(file) as image:
                image.convert("RGB").load()

    ratios = []
    for _ in range(3):
        own = _processor_seconds(lambda: scan_pixels(paths, max_pixels=10**9))
        ratios.append(own / _processor_seconds(decode))
    words = ("dataset=folder", f"dataset.root={root}", "backbone=resnet18", "dataset.image_size=64")
    kept = root.with_name("kept")
    first, second = (_seconds(lambda: vk.check(*words, deep=True, cache=kept)) for _ in range(2))
    return {"photos": count, "deep / decoding": sorted(ratios)[1], "second / first": second / first}


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _processor_seconds(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def print_table(figures: dict[str, float]) -> None:
    """All figures, with their limits."""
    table = Table(title="what check costs", title_justify="left")
    for heading in ("", "figure", "wanted", ""):
        table.add_column(heading, justify="right" if heading == "figure" else "left")
    for name, value in figures.items():
        kind, limit = LIMITS.get(name, ("", 0.0))
        mark = ("" if holds(name, value) else "MISSED") if name in LIMITS else ""
        table.add_row(
            name, f"{value:,.2f}" if value < 100 else f"{value:,.0f}", f"{kind} {limit:g}" if kind else "", mark
        )
    Console(width=100, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
