"""Write a data set in another form: folders of classes, COCO, VOC, YOLO, or a mask for each image.

    python tools/convert_dataset.py dataset=coco dataset.root=data/coco --to yolo --out data/as_yolo
    python tools/convert_dataset.py task=instance dataset=yolo dataset.root=data/yolo --to coco --out data/as_coco
    python tools/convert_dataset.py task=segment dataset=voc dataset.root=data/VOC2012 --to masks --out data/as_masks
    python tools/convert_dataset.py dataset=table dataset.file=data/labels.csv --to folder --out data/sorted

The words are those of `python -m visionkit check`; the task says what is converted: labels, boxes, outlines or masks.
Images are copied (--link makes hard links), and nothing is written to the data. What a reader drops or repairs is not
in the new set, and said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from convert.forms import FORMS, ConversionError, Converted

from visionkit.cli.check_config import compose_check
from visionkit.cli.keywords import parse_call
from visionkit.data.dataset import FileDataset
from visionkit.data.sources.file_source import FileSource
from visionkit.errors import UserError
from visionkit.runs.config import RunConfig


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert; 2 with a line on standard error for what a user can mend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="WORD", help="of the data set, such as dataset=coco")
    parser.add_argument("--to", required=True, choices=FORMS, help="the form")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="a new folder")
    parser.add_argument("--link", action="store_true", help="hard links in the place of copies")
    options = parser.parse_args(arguments)
    try:
        lines = convert(options.words, to=options.to, out=options.out, copy=os.link if options.link else shutil.copy2)
    except (UserError, ConversionError) as error:
        print(f"convert_dataset: {error}", file=sys.stderr)
        return 2
    print(*lines, sep="\n")
    return 0


def convert(words: Sequence[str], *, to: str, out: Path, copy: Callable[..., object] = shutil.copy2) -> list[str]:
    """Write a data set in another form, and return what to say of it.

    Args:
        words: Of the data set.
        to: The form.
        out: A folder that is not there, or empty.
        copy: Makes an image file of another one.

    Raises:
        UserError: If the data set cannot be read.
        ConversionError: If it cannot have this form, or the folder cannot be used.
    """
    config = RunConfig.from_plain(compose_check(parse_call("check", tuple(words), {}, ()), ())[0], check_data=False)
    source, target = config.source, config.task.target
    root = Path(str(source.root)).expanduser() if isinstance(source, FileSource) else None
    if root is None:
        raise ConversionError(
            f"dataset '{source.name}' has no image files. Expected one of files, such as dataset=folder"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConversionError(f"--out: '{out}' is there already. Expected a new folder")
    if out.resolve().is_relative_to(root.resolve()):
        raise ConversionError(
            f"--out: '{out}' lies in the data set, to which nothing is written. Expected another folder"
        )
    write = FORMS[to].get(target)
    if write is None:
        forms = ", ".join(sorted(form for form, writers in FORMS.items() if target in writers))
        raise ConversionError(f"--to {to}: it holds no {target}, which task={config.task.name} reads. Try: {forms}")
    splits = source.splits(seed=config.seed)
    files = {split: samples for split, samples in splits.samples.items() if isinstance(samples, FileDataset)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".convert-") as folder:  # all of it, or nothing
        whole = Path(folder, out.name)
        whole.mkdir()
        typed = write(Converted(files, source.info().class_names, whole, copy)).replace(str(whole), str(out))
        whole.replace(out)
    counts = ", ".join(f"{split} {len(samples):,}" for split, samples in files.items())
    return [*splits.notes, f"Written: {out}: {counts}", f"Read it with: {typed}"]


if __name__ == "__main__":
    sys.exit(main())
