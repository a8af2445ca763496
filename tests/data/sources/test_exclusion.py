"""Images that a list leaves out, in each form of data set."""

import csv
import json

import pytest
from PIL import Image

from visionkit.data.sources import read_source
from visionkit.data.sources.exclusion import Exclusion
from visionkit.errors import UserError


def _image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (sum(map(ord, str(path))) % 255, 9, 9)).save(path)


def _folder(root):
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(4):
                _image(root / split / name / f"{split}{number}.png")
    return {"type": "folder", "root": str(root)}, "train/cat/train0.png"


def _coco(root):
    for start, split in ((1, "train"), (50, "val")):
        images = [{"id": start + n, "file_name": f"{start + n}.png", "height": 16, "width": 16} for n in range(4)]
        annotations = [
            {"id": image["id"], "image_id": image["id"], "category_id": 1, "bbox": [2, 2, 8, 8]} for image in images
        ]
        for image in images:
            _image(root / split / image["file_name"])
        (root / "annotations").mkdir(exist_ok=True)
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return {"type": "coco", "root": str(root)}, "train/1.png"


def _table(root):
    rows = [(f"{n}.png", ("cat", "dog")[n % 2], "train" if n < 8 else "val") for n in range(12)]
    for name, _, _ in rows:
        _image(root / name)
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return {"type": "table", "root": str(root), "file": str(root / "table.csv"), "image_column": "path"}, "0.png"


def _masks(root):
    for split in ("train", "val"):
        for number in range(4):
            _image(root / "images" / split / f"{number}.png")
            path = root / "masks" / split / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            mask = Image.new("L", (16, 16), 0)
            mask.paste(1, (4, 4, 9, 9))
            mask.save(path)
    return {"type": "masks", "root": str(root), "images": "images", "masks": "masks"}, "images/train/0.png"


@pytest.mark.parametrize("make", [_folder, _coco, _table, _masks])
def test_images_of_a_list_are_left_out_of_every_form(tmp_path, make):
    settings, name = make(tmp_path / "data")
    before = read_source(settings).splits(seed=0)
    list_file = tmp_path / "list.txt"
    list_file.write_text(f"# not these\n\n{name}\r\nnowhere.png\n")
    splits = read_source({**settings, "exclude": str(list_file)}).splits(seed=0)
    assert len(splits.samples["train"]) == len(before.samples["train"]) - 1
    assert len(splits.samples["val"]) == len(before.samples["val"])
    names = [splits.samples["train"].name(i) for i in range(len(splits.samples["train"]))]
    assert not any(each.endswith(f"/{name}") for each in names)
    found = {finding.code: finding for finding in splits.findings}
    assert (found["image-excluded"].count, found["image-excluded"].places) == (1, (name,))
    assert found["exclude-unmatched"].places == ("nowhere.png",)


def test_a_list_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"dataset.exclude: '.*none.txt' cannot be read: No such file"):
        Exclusion(str(tmp_path / "none.txt"), tmp_path)


def test_names_may_be_of_any_bytes_and_paths_of_any_spelling(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf./a//b.png\nc\xff.png\n")
    exclusion = Exclusion(str(tmp_path / "list.txt"), tmp_path)
    assert exclusion.keeps(tmp_path, ["a/b.png", b"c\xff.png", "d.png"]) == [False, False, True]
    assert exclusion.keeps(tmp_path / "a", ["b.png"]) == [False]
