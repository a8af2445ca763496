"""Data handed over in Python gives the batches of the same data in files, to the last digit."""

import json

import numpy
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from visionkit.config_files import read_group_file
from visionkit.data import VisionDataModule
from visionkit.data.sources import parse_source
from visionkit.registry import load
from visionkit.structures.rle import decode_mask
from visionkit.tasks.info import TASKS

SIZES = [(20, 30), (24, 24), (31, 18), (16, 40), (22, 26), (28, 20)]
SPLITS = {"train": [0, 1, 2, 3], "val": [4, 5]}
AUGMENT = {"horizontal_flip": {"p": 0.5}}


def pixels(index):
    return numpy.random.RandomState(index).randint(0, 256, (*SIZES[index], 3)).astype(numpy.uint8)


class Items(Dataset):
    """Images of numpy, Pillow or torch in turn, with given targets."""

    classes = ("cat", "dog")

    def __init__(self, rows, targets):
        self.rows, self.targets_of = rows, targets

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        image = pixels(row)
        forms = (image, Image.fromarray(image), torch.from_numpy(image).permute(2, 0, 1))
        return forms[row % 3], self.targets_of[row]


def batches(name, task, *, python=None, workers=0, **values):
    target, reader = TASKS[task].target, load(TASKS[task].batch_reader)
    settings = read_group_file("dataset", name)
    settings |= {"image_size": 32, "augment": AUGMENT, "num_workers": workers, **values}
    source = parse_source(settings)
    source = source if python is None else source.with_datasets(python)
    module = VisionDataModule(source, target=target, batch_reader=reader, batch_size=2, seed=3)
    module.setup()
    return [*module.train_dataloader(), *module.val_dataloader()], module


def given(targets):
    return {split: Items(rows, targets) for split, rows in SPLITS.items()}


def assert_same(first, second):
    assert len(first) == len(second) == 3
    for ours, theirs in zip(first, second, strict=True):
        assert set(ours) == set(theirs)
        for key, value in ours.items():
            assert value.dtype == theirs[key].dtype
            assert torch.equal(value, theirs[key]), key


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.mark.parametrize("workers", [0, 1])
def test_labels_as_of_a_folder(tmp_path, workers):
    labels = [0, 0, 1, 1, 0, 1]
    for split, rows in SPLITS.items():
        for row in rows:
            save(tmp_path / split / Items.classes[labels[row]] / f"{row}.png", pixels(row))
    files, _ = batches("folder", "classify", root=str(tmp_path))
    ours, module = batches("python", "classify", python=given(labels), workers=workers)
    assert_same(ours, files)
    assert module.info.class_names == ("cat", "dog")


def test_label_sets_as_of_a_table(tmp_path):
    sets = [[0], [1], [0, 1], [], [1], [0]]
    lines = ["path,split,cat,dog"]
    for split, rows in SPLITS.items():
        for row in rows:
            save(tmp_path / f"{row}.png", pixels(row))
            lines.append(f"{row}.png,{split},{int(0 in sets[row])},{int(1 in sets[row])}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    files, _ = batches(
        "table", "multilabel", root=str(tmp_path), file="table.csv", image_column="path", label_columns=["cat", "dog"]
    )
    hot = [torch.tensor([0 in members, 1 in members]).float() for members in sets]
    assert_same(batches("python", "multilabel", python=given(hot))[0], files)
    assert_same(batches("python", "multilabel", python=given([set(members) for members in sets]))[0], files)


@pytest.fixture
def coco(tmp_path):
    """A COCO folder with triangles, and the targets of its images in torchvision's form."""
    targets = []
    for row, (height, width) in enumerate(SIZES):
        corners = [(2.0, 3.0, 12.0, 13.0), (5.5, 4.0, width - 1.0, height - 2.0)][: 1 + row % 2]
        outlines = [[x1, y1, x2, y1, x2, y2] for x1, y1, x2, y2 in corners]
        targets.append((corners, [row % 2] * len(corners), outlines))
    root = tmp_path / "coco"
    forms = []
    for split, rows in SPLITS.items():
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}
        for row in rows:
            save(root / split / f"{row}.png", pixels(row))
            height, width = SIZES[row]
            content["images"].append({"id": row, "file_name": f"{row}.png", "height": height, "width": width})
            for (x1, y1, x2, y2), label, outline in zip(*targets[row], strict=True):
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 100 * row, "image_id": row, "category_id": label + 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": [outline],
                    }
                )  # fmt: skip
        (root / f"{split}.json").write_text(json.dumps(content))
    from pycocotools import mask

    for (corners, labels, outlines), size in zip(targets, SIZES, strict=True):
        runs = [mask.merge(mask.frPyObjects([outline], *size)) for outline in outlines]
        masks = numpy.stack([decode_mask({**run, "counts": run["counts"].decode()}) for run in runs])
        forms.append({"boxes": torch.tensor(corners), "labels": torch.tensor(labels), "masks": masks.astype("uint8")})
    return root, forms


@pytest.mark.parametrize("task", ["detect", "instance"])
def test_objects_as_of_coco(coco, task):
    root, targets = coco
    files, _ = batches("coco", task, root=str(root))
    ours, _ = batches("python", task, python=given(targets))
    assert_same(ours, files)
    behind = [{**target, "labels": target["labels"] + 1} for target in targets]
    counted, module = batches("python", task, python=given(behind), class_names=["__background__", "cat", "dog"])
    assert_same(counted, files)
    assert module.info.class_names == ("cat", "dog")
    assert any("counted from 1" in note for note in module.notes)


def test_boxes_of_tv_tensors_are_those_of_plain_ones(coco):
    from torchvision.tv_tensors import BoundingBoxes

    _, targets = coco
    wrapped = [
        {**target, "boxes": BoundingBoxes(target["boxes"], format="XYXY", canvas_size=size)}
        for target, size in zip(targets, SIZES, strict=True)
    ]
    assert_same(
        batches("python", "detect", python=given(wrapped))[0], batches("python", "detect", python=given(targets))[0]
    )


def test_masks_as_of_files(tmp_path):
    masks = [
        numpy.random.RandomState(50 + row).choice([0, 1, 255], size).astype(numpy.uint8)
        for row, size in enumerate(SIZES)
    ]
    for split, rows in SPLITS.items():
        for row in rows:
            save(tmp_path / "images" / split / f"{row}.png", pixels(row))
            save(tmp_path / "masks" / split / f"{row}.png", masks[row])
    files, theirs = batches("masks", "segment", root=str(tmp_path), classes=["cat", "dog"], ignore=255)
    ours, module = batches("python", "segment", python=given(masks), ignore=255)
    assert_same(ours, files)
    assert module.class_counts().tolist() == theirs.class_counts().tolist()
