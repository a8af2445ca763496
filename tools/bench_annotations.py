"""What reading COCO's annotations costs, in processor time: `read_coco` of a made-up file, without and with outlines.

It is compared with ``pycocotools.coco.COCO``, which parses the same file and indexes it. Images have COCO's seven
objects and their outlines some 25 points, one of ten in two rings, one of a hundred as run lengths.

python tools/bench_annotations.py --images 20000
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from paired_bench import make_figures, print_report, ratio_columns, summarize, time_columns, time_pair, value
from pycocotools.coco import COCO

from visionkit.data.sources.annotations import ParsedDataset
from visionkit.data.sources.coco import reader as coco_reader
from visionkit.data.sources.object_limits import limit_masks, limit_objects


def make_annotations(file: Path, num_images: int) -> None:
    """Write a file in COCO's form, with coordinates of two decimals as COCO's own."""
    draw = random.Random(0)
    annotations = []
    for number in range(7 * num_images):
        image, x, y = number // 7, draw.uniform(0, 500), draw.uniform(0, 300)
        rings = [
            [round(draw.uniform(0, 100) + (x, y)[i % 2], 2) for i in range(2 * draw.randrange(4, 46))]
            for _ in range(1 + (number % 10 == 0))
        ]
        runs = {"size": [480, 640], "counts": [100, 307_100]}
        box = [round(x, 2), round(y, 2), 100.0, 100.0]
        annotations.append(
            {
                "segmentation": runs if number % 100 == 0 else rings,
                "area": 5000.5,
                "iscrowd": int(number % 100 == 0),
                "image_id": image,
                "bbox": box,
                "category_id": 1 + number % 80,
                "id": number,
            }
        )
    images = [{"file_name": f"{i:012}.jpg", "height": 480, "width": 640, "id": i} for i in range(num_images)]
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, 81)]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def main() -> None:
    """Measure and print a table; `--json` writes it too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="the number of images")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of ours, theirs, theirs, ours")
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        file = root / "instances.json"
        make_annotations(file, options.images)
        for index in range(options.images):
            (root / f"{index:012}.jpg").touch()

        def read_ours(with_masks: bool) -> ParsedDataset[Any]:
            coco_reader._read_file.cache_clear()
            files = {"train": (file, "", [])}
            parsed = coco_reader.read_coco(root, files, with_masks=with_masks, max_pixels=10**8)
            return limit_masks(limit_objects(parsed))

        def read_theirs() -> COCO:
            with contextlib.redirect_stdout(None):
                return COCO(str(file))

        for name, with_masks in (("boxes", False), ("outlines", True)):
            costs = time_pair(lambda w=with_masks: read_ours(w), read_theirs, rounds=options.rounds, seconds=0)  # type: ignore[misc]
            rows.append({"name": name, "objects": 7 * options.images, **summarize(costs)})
    print_report(
        make_figures(rows, options, without=("json", "folder")),
        title="Reading COCO's annotations, processor time",
        labels=[("of", value("name"))],
        numbers=[
            ("objects", lambda row: f"{row['objects']:,}"),
            *time_columns("ours", "pycocotools", kind="cpu"),
            *ratio_columns("cpu"),
        ],
        note="Goal: a ratio of 1.0; without outlines their numbers are not parsed.",
    )


if __name__ == "__main__":
    main()
