"""What listing a folder of images costs: `Folder` against torchvision's ImageFolder, in processor time and memory.

The files are made on the spot, without contents but of different sizes, as photos are, in 1,000 class folders of train
and as many of val. Ours checks the folder, lists it, looks for links and copies and makes the splits; torchvision lists
train and val. `divided` has both, `whole` is train alone, of which val and test are held out and their names kept as
text for splits.json.

Memory is what the splits add to this process and to two forked ones that read every name: the sum of proportional set
sizes, Linux alone.

python tools/bench_scan.py --quick       # 20,000 files; up to 50,000 ours asks for the size of each
python tools/bench_scan.py --files 1280000
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from paired_bench import make_figures, print_report, ratio_columns, summarize, time_columns, time_pair, value
from torchvision.datasets import ImageFolder

from visionkit.data.dataset import FileDataset
from visionkit.data.sources import Splits, read_source

CLASSES = 1000
NUM_WORKERS = 2


def make_files(root: Path, count: int) -> None:
    """Write so many files, one of 25 to val, the rest to train, under names as long as ImageNet's."""
    numbers, size = random.Random(0), 0
    for split, share in (("train", count - count // 25), ("val", count // 25)):
        for label in range(CLASSES):
            folder = root / split / f"n{label:08d}"
            folder.mkdir(parents=True)
            for index in range(max(4, share // CLASSES)):
                path = folder / f"n{label:08d}_{index}{numbers.randrange(10**4)}.JPEG"
                size += 1
                with path.open("wb") as file:
                    file.truncate(size)


def read_splits(root: Path) -> Splits:
    """What a run does before it decodes an image."""
    source = read_source({"type": "folder", "root": str(root), "image_size": 224, "allow_overlap": True})
    source.check()
    source.info()
    return source.splits(seed=0)


def proportional_set_size() -> int:
    """The memory of this process in bytes, where pages shared by n processes count for a part of n.

    Pages of files are left out: how many other programs have torch's libraries in memory is not ours.
    """
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def memory_with_workers(splits: Splits | None) -> int:
    """The memory of this process and of forked ones that have read all names, in bytes."""
    ready, go_on = os.pipe(), os.pipe()
    done = os.pipe()
    for _ in range(NUM_WORKERS):
        if os.fork() == 0:
            for samples in splits.samples.values() if splits else ():
                assert isinstance(samples, FileDataset)
                sum(len(samples.name(index)) + int(samples.labels[index]) for index in range(len(samples)))
            os.write(ready[1], b"x")
            os.read(go_on[0], 1)
            os.write(done[1], b"%20d" % proportional_set_size())
            os.read(go_on[0], 1)
            os._exit(0)
    for _ in range(NUM_WORKERS):
        os.read(ready[0], 1)
    os.write(go_on[1], b"x" * NUM_WORKERS)
    total = proportional_set_size() + sum(int(os.read(done[0], 20)) for _ in range(NUM_WORKERS))
    os.write(go_on[1], b"x" * NUM_WORKERS)
    for _ in range(NUM_WORKERS):
        os.wait()
    for pipe in (ready, go_on, done):
        for descriptor in pipe:
            os.close(descriptor)
    return total


def main() -> None:
    """Measure and print a table; `--json` writes it too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000, help="the number of files")
    parser.add_argument("--quick", action="store_true", help="20,000 files")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of ours, theirs, theirs, ours")
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    count = 20_000 if options.quick else options.files
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        make_files(root, count)
        for name, ours, theirs in (("divided", root, ("train", "val")), ("whole", root / "train", (".",))):
            read_splits(ours)  # imports, before memory is measured
            before = memory_with_workers(None)
            splits = read_splits(ours)
            num_files = sum(map(len, splits.samples.values()))
            bytes_a_file = (memory_with_workers(splits) - before) / num_files
            del splits

            def list_theirs(base: Path = ours, parts: tuple[str, ...] = theirs) -> list[ImageFolder]:
                return [ImageFolder(str(base / part)) for part in parts]

            costs = time_pair(lambda base=ours: read_splits(base), list_theirs, rounds=options.rounds, seconds=0)  # type: ignore[misc]
            rows.append({"name": name, "files": num_files, "bytes_a_file": round(bytes_a_file), **summarize(costs)})
    print_report(
        make_figures(rows, options, without=("json", "folder")),
        title="Listing a folder of images, processor time",
        labels=[("set", value("name"))],
        numbers=[
            ("files", lambda row: f"{row['files']:,}"),
            *time_columns("ours", "ImageFolder", kind="cpu"),
            *ratio_columns("cpu"),
            ("bytes a file", lambda row: f"{row['bytes_a_file']:,}"),
        ],
        note=f"Bytes a file: of {1 + NUM_WORKERS} processes together. Goal: a ratio of 1.5 and 200 bytes a file.",
    )


if __name__ == "__main__":
    main()
