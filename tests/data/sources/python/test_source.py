"""A data set handed over in Python: splits, names of classes, ranges of values, and what is refused in words."""

import pickle

import numpy
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset

from visionkit.config_files import read_group_file
from visionkit.data import VisionDataModule
from visionkit.data.loader import BatchLoader
from visionkit.data.sources import parse_source
from visionkit.errors import UserError
from visionkit.registry import load
from visionkit.tasks.info import TASKS


class Pairs(Dataset):
    """Items from a list; a callable is called, an error is raised."""

    def __init__(self, items, classes=None):
        self.items = list(items)
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item() if callable(item) else item


def image(seed, size=(12, 10), channels=(3,)):
    return numpy.random.RandomState(seed).randint(0, 256, (*size, *channels)).astype(numpy.uint8)


def labelled(count, first=0, classes=("cat", "dog")):
    return Pairs([(image(first + n), n % 2) for n in range(count)], classes)


def source_of(given, **values):
    settings = read_group_file("dataset", "python") | {"image_size": 16, "num_workers": 0, **values}
    return parse_source(settings).with_datasets(given)


def module_of(given, task="classify", *, strict=False, splits_file=None, **values):
    info = TASKS[task]
    return VisionDataModule(
        source_of(given, **values), target=info.target, batch_reader=load(info.batch_reader), batch_size=2, seed=0,
        strict=strict, splits_file=splits_file,
    )  # fmt: skip


def error_of(given, task="classify", **values):
    def run():
        module = module_of(given, task, **values)
        module.source.check()
        module.setup()

    with pytest.raises(UserError) as caught:
        run()
    return str(caught.value)


def boxes(*corners, labels=None, **more):
    return {"boxes": torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels or [0] * len(corners))} | more  # fmt: skip


GOOD = boxes((1, 1, 8, 9))


def detected(*targets, first=0):
    return Pairs([(image(first + n), target) for n, target in enumerate(targets)], ["cat"])


def test_one_data_set_is_divided_in_three_by_class_and_the_division_is_saved(tmp_path):
    module = module_of(labelled(40), splits_file=tmp_path / "splits.json")
    module.setup()
    assert module.sizes == {"train": 28, "val": 6, "test": 6}
    assert [module.dataset(split).labels.bincount().tolist() for split in ("val", "test")] == [[3, 3], [3, 3]]
    again = module_of(labelled(40), splits_file=tmp_path / "splits.json")
    again.seed = 7
    names = [[m.dataset(s).name(i) for s in m.sizes for i in range(m.sizes[s])] for m in (module, again)]
    assert names[0] == names[1]
    assert sorted(names[0]) == sorted(f"dataset[{n}]" for n in range(40))


def test_val_is_held_out_of_train_alone_where_train_is_named():
    module = module_of({"train": labelled(20)})
    assert module.sizes == {"train": 17, "val": 3}


def test_each_fold_is_another_val():
    folds = [module_of(labelled(20), fold=fold, folds=4).dataset("val") for fold in range(4)]
    assert sorted(int(row) for fold in folds for row in fold.rows) == list(range(20))


def test_copies_of_an_image_stay_in_one_split():
    twice = ConcatDataset([labelled(10), labelled(10)])
    module = module_of(twice, class_names=["cat", "dog"])
    where = {}
    for split in module.sizes:
        for row in module.dataset(split).rows.tolist():
            where.setdefault(row % 10, set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())
    assert any("identical to another" in note for note in module.notes)


def test_labels_are_balanced_if_wanted():
    rare = Pairs([(image(n), int(n == 0)) for n in range(12)], ["cat", "dog"])
    module = module_of({"train": rare, "val": labelled(4, first=50)}, balance=True)
    drawn = torch.cat([batch["label"] for _ in range(6) for batch in module.train_dataloader()])
    assert 0.3 < float(drawn.float().mean()) < 0.7


def test_names_of_classes_are_found_behind_subsets_and_concatenations():
    given = Subset(ConcatDataset([labelled(10), Subset(labelled(10, first=20), range(10))]), range(2, 20))
    assert source_of(given).info().class_names == ("cat", "dog")


def test_classes_without_names_are_counted_and_it_is_said():
    module = module_of(labelled(12, classes=None))
    assert module.info.class_names == ("0", "1")
    assert any("named by their number" in note for note in module.notes)


@pytest.mark.parametrize("task", ["multilabel", "detect", "instance", "segment"])
def test_other_tasks_need_names_of_classes(task):
    message = error_of(Pairs([(image(0), 0)] * 4), task)
    assert "dataset.class_names" in message
    assert '"class_names": ["cat", "dog"]' in message


def test_known_targets_spare_reading_every_item():
    asked = []

    class Known(Pairs):
        targets = tuple(n % 2 for n in range(1000))

        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    module = module_of(Known([(image(n), n % 2) for n in range(1000)], ["cat", "dog"]), value_range=None)
    assert module.sizes["train"] == 700
    assert len(asked) <= 300 + 200


def test_targets_that_disagree_with_the_items_are_not_used():
    class Shifted(Pairs):
        targets = [0] * 12

    module = module_of(Shifted(labelled(12).items, ["cat", "dog"]))
    assert sum(module.dataset(split).labels.sum() for split in module.sizes) == 6


@pytest.mark.parametrize(
    ("values", "value_range"),
    [
        (lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1) / 255, (0, 1)),
        (lambda pixels: pixels.astype(numpy.float32), (0, 255)),
        (lambda pixels: pixels.astype(numpy.float64) / 100 - 1, (-1, 1.55)),
        (lambda pixels: pixels.astype(numpy.uint16) * 16, (0, 4080)),
        (lambda pixels: Image.fromarray(pixels), None),
    ],
)
def test_the_range_of_values_is_that_of_the_type_and_of_train(values, value_range):
    plain = [image(n) for n in range(8)]
    for pixels in plain:
        pixels[0, 0], pixels[0, 1] = 0, 255
    module = module_of({"train": Pairs([(values(p), n % 2) for n, p in enumerate(plain)], ["cat", "dog"])},
                       image_size=[12, 10])  # fmt: skip
    assert module.value_range == (pytest.approx(value_range, abs=1e-6) if value_range else None)
    sample = module.dataset("train")
    expected = torch.from_numpy(plain[int(sample.rows[0])]).permute(2, 0, 1).float()
    assert sample.dtype == (torch.float32 if value_range else torch.uint8)
    assert torch.allclose(sample.image(0).float(), expected, atol=1e-3)
    assert any("is read as 0 to 255" in note for note in module.notes) == (value_range is not None)


def test_an_image_with_boxes_is_not_turned_by_its_orientation():
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = Image.fromarray(image(0))
    turned.info["exif"] = exif.tobytes()
    module = module_of({"train": Pairs([(turned, GOOD), (image(1), GOOD)], ["cat"]), "val": detected(GOOD, first=9)},
                       "detect")  # fmt: skip
    assert torch.equal(module.dataset("train").image(0), torch.from_numpy(image(0)).permute(2, 0, 1))


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (boxes((1, 1, 8, 9), (float("nan"), 1, 2, 3)), "coordinates are no numbers dropped: train[0] object 1"),
        (boxes((1, 1, 8, 9), (50, 1, 60, 3)), "outside the image dropped: train[0] object 1"),
        (boxes((1, 1, 8, 9), (4, 4, 4, 8)), "no width or height dropped: train[0] object 1"),
        (boxes((1, 1, 8, 9), (4, 4, 14, 8)), "reach out of the image clipped: train[0] object 1"),
        (boxes((1, 1, 8, 9), (1, 1, 8, 9)), "annotated twice dropped once: train[0] object 1"),
    ],
)
def test_boxes_are_checked_as_those_of_files(target, code):
    given = {"train": detected(target, GOOD), "val": detected(GOOD, first=9)}
    module = module_of(given, "detect")
    module.setup()
    assert any(code in note for note in module.notes)
    kept = module.dataset("train").annotation(0).boxes.tolist()
    assert kept == ([[1, 1, 8, 9], [4, 4, 10, 8]] if "clipped" in code else [[1, 1, 8, 9]])
    assert "strict=false it is only said" in error_of(given, "detect", strict=True)


def test_an_object_without_a_pixel_is_dropped():
    masks = numpy.zeros((2, 12, 10), dtype=bool)
    masks[0, 2:5, 2:5] = True
    target = boxes((2, 2, 5, 5), (6, 6, 8, 8), masks=masks)
    given = {"train": detected(target), "val": detected(target, first=5)}
    module = module_of(given, "instance")
    assert len(module.dataset("train").annotation(0)) == 1
    assert any("without a pixel in their mask dropped" in note for note in module.notes)


def test_an_item_that_raises_is_dropped_and_named():
    broken = Pairs([*labelled(6).items, KeyError("lesion")], ["cat", "dog"])
    given = {"train": broken, "val": labelled(2, first=50)}
    module = module_of(given)
    assert module.sizes["train"] == 6
    assert any("1 item(s) of train that cannot be read dropped: train[6] raises KeyError: 'lesion'" in note
               for note in module.notes)  # fmt: skip
    assert "train[6]" in error_of(given, strict=True)
    assert "none of the 2 items" in error_of({"train": Pairs([ValueError("x")] * 2, ["a", "b"])})


def test_an_item_that_fails_while_training_is_replaced_and_named():
    train = labelled(6)
    module = module_of({"train": train, "val": labelled(2, first=50)})
    module.setup()
    train.items[3] = OSError("gone")
    train.items[4] = (train.items[4][0], 1)  # it was 0
    read = torch.cat([batch["index"] for batch in module.train_dataloader()])
    assert len(read) == 6
    assert not set(read.tolist()) & {3, 4}
    assert any("train[3], train[4]" in note and "replaced" in note for note in module.notes)


def test_masks_of_another_size_are_dropped_and_strange_values_ignored():
    mask = numpy.zeros((12, 10), dtype=numpy.int64)
    strange = mask.copy()
    strange[0, 0], strange[1, 1] = 7, 1
    masks = [mask, mask[:5], strange]
    given = {"train": Pairs([(image(n), m) for n, m in enumerate(masks)], ["sky", "road"]),
             "val": Pairs([(image(9), mask)])}  # fmt: skip
    module = module_of(given, "segment")
    assert module.sizes["train"] == 2
    assert module.dataset("train").mask(1)[:2, :2].tolist() == [[255, 0], [0, 1]]
    assert any("another size than their image dropped: train[1]" in note for note in module.notes)
    assert any("values outside the classes ignored there: train[2]" in note for note in module.notes)


def stream():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())

    return Stream()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (stream(), "iterable data set"),
        (Pairs([]), "is empty"),
        ([1, 2], "dataset[0] is int 1. Expected a pair (image, target)"),
        ("photos", "dataset is builtins.str, which has no items by number"),
        ({"val": labelled(2)}, 'without "train"'),
        (Pairs([("a.jpg", 0)] * 6), "image of dataset[0] is str 'a.jpg'. Expected a Pillow image"),
        (Pairs([(image(0), "cat")] * 6), "target of dataset[0] is str 'cat'. Expected a whole number"),
        (Pairs([(image(n), n) for n in range(6)], ["cat", "dog"]), "dataset[2] has the label 2. Expected 0 to 1"),
        (Pairs([(image(n), -1) for n in range(6)]), "has the label -1. Expected 0 or more"),
        (Pairs([(image(n), n % 2) for n in range(2)]), "too few to divide"),
    ],
)
def test_what_is_no_data_set_for_classification_is_refused_in_words(given, found):
    assert found in error_of(given)


@pytest.mark.parametrize(
    ("task", "target", "found"),
    [
        ("detect", 3, "target of train[0] is int 3. Expected a dict of boxes and labels"),
        ("detect", {"boxes": [[1, 2, 3]], "labels": [0]}, "Expected numbers (N, 4), x1, y1, x2, y2 in pixels"),
        ("detect", boxes((1, 1, 8, 9), labels=[0, 0]), "Expected 1 whole numbers, one for each box"),
        ("detect", boxes((1, 1, 8, 9), labels=[1]), "If labels are counted from 1: subtract 1"),
        ("detect", boxes((0.1, 0.1, 0.8, 0.9)), "lie between 0 and 1"),
        ("instance", GOOD, "Expected a dict of boxes and labels and masks"),
        ("segment", numpy.zeros((12, 10)), "Expected a mask (H, W) of whole numbers"),
        ("multilabel", torch.tensor([0.5, 1.0]), "Expected 2 values 0 and 1, or a list of class ids"),
        ("multilabel", [0, 1], "this may be either. Give an array or a set"),
        ("multilabel", [0, 3], "has the label 3. Expected 0 to 1"),
    ],
)
def test_a_target_of_another_kind_is_refused_by_the_number_of_its_item(task, target, found):
    classes = ["cat"] if task in ("detect", "instance") else ["cat", "dog"]
    items = Pairs([(image(n), target) for n in range(2)], classes)
    assert found in error_of({"train": items, "val": items}, task, allow_overlap=True)


def test_a_length_that_changes_is_an_error():
    class Growing(Pairs):
        def __getitem__(self, index):
            self.items.append(self.items[0])
            return self.items[index]

    assert "Expected a data set that keeps its length" in error_of({"train": Growing(labelled(4).items, ["a", "b"])})


def test_one_object_for_two_splits_is_an_error_unless_it_is_allowed():
    data = labelled(8)
    assert "train and val are the same object" in error_of({"train": data, "val": data})
    assert module_of({"train": data, "val": data}, allow_overlap=True).sizes == {"train": 8, "val": 8}


@pytest.mark.parametrize("val", [lambda data: Subset(data, [3, 4]), lambda data: labelled(2)])
def test_an_item_of_train_within_val_is_an_error(val):
    data = labelled(8)
    assert "of val that are in train too" in error_of({"train": data, "val": val(data)})


def test_without_its_object_the_source_says_how_to_give_it_again():
    source = parse_source(read_group_file("dataset", "python") | {"objects": {"train": "my.Photos"}})
    with pytest.raises(UserError, match=r"train: my.Photos.*vk.train\(..., dataset=my_dataset\), or vk.evaluate\(run"):
        source.check()
    assert source.for_target("mask").input_transform().mode == "letterbox"


def test_objects_stay_through_every_copy_of_the_source():
    source = source_of(labelled(4)).for_target("mask").with_value_range([0, 9]).without_contents()
    assert (source.target, source.value_range, list(source.datasets)) == ("mask", (0, 9), ["dataset"])
    assert "objects" not in source.keys


def test_random_states_are_left_as_they_were():
    noisy = Pairs([lambda n=n: (image(n) + numpy.random.randint(2), n % 2) for n in range(8)], ["cat", "dog"])
    before = numpy.random.get_state()[1].copy()
    module_of({"train": noisy, "val": labelled(2, first=90)}).setup()
    assert (numpy.random.get_state()[1] == before).all()


def test_what_cannot_be_pickled_is_an_error_for_workers_that_start_afresh():
    data = labelled(6)
    data.handle = lambda: None
    module = module_of({"train": data, "val": labelled(2, first=50)})
    loader = module.train_dataloader()
    spawned = BatchLoader(loader.reader, loader.sampler, num_workers=1, split="train", start_method="spawn")
    with pytest.raises(UserError, match=r"cannot be given this data set.*dataset.num_workers=0"):
        next(iter(spawned))
    forked = BatchLoader(loader.reader, loader.sampler, num_workers=1, split="train", start_method="fork")
    assert len(list(forked)) == 3


def test_the_samples_are_pickled_without_the_item_that_they_keep():
    samples = module_of({"train": labelled(4), "val": labelled(2, first=50)}).dataset("train")
    samples.item(0)
    assert pickle.loads(pickle.dumps(samples.__getstate__()["_last"])) is None


class Breaking(Pairs):
    """Its items, or the first of them, fail once it is broken."""

    broken = range(0)

    def __getitem__(self, index):
        if index in self.broken:
            raise KeyError("no such row")
        return super().__getitem__(index)


def test_items_that_fail_in_training_are_named_as_those_of_the_data_set():
    data, val = (Breaking(labelled(8, first=first).items, ["a", "b"]) for first in (0, 50))
    module = module_of({"train": data, "val": val})
    module.setup("fit")
    data.broken = val.broken = range(1)
    assert len(list(module.train_dataloader())) == 4
    list(module.val_dataloader())
    notes = {finding.code: finding.note for finding in module.findings}
    assert "train[0]" in notes["item-replaced"]
    assert "val[0]" in notes["item-failed"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_where_all_items_fail_in_training_the_error_of_the_data_set_is_told(split):
    data, val = (Breaking(labelled(8, first=first).items, ["a", "b"]) for first in (0, 50))
    module = module_of({"train": data, "val": val})
    module.setup("fit")
    loader = {"train": module.train_dataloader, "val": module.val_dataloader}[split]()
    data.broken = val.broken = range(8)
    with pytest.raises(UserError, match=rf"none of the 8 images of the {split} .*{split}\[0\] raises KeyError: 'no su"):
        list(loader)
