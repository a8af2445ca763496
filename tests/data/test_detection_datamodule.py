"""The DataModule with images that have boxes."""

import json

import numpy
import pytest
import torch

from visionkit.data import VisionDataModule
from visionkit.data.cache import decode_originals
from visionkit.data.collate.detection import DetectionBatchReader
from visionkit.data.shared_cache import SharedCache
from visionkit.data.sources import parse_source


@pytest.fixture
def boxes_root(tmp_path, save_image):
    """A COCO folder with 9 + 4 images of different sizes, up to 12 objects in each."""
    random = numpy.random.RandomState(0)
    for split, count in (("train", 9), ("val", 4)):
        images, annotations = [], []
        for index in range(count):
            height, width = (int(side) for side in random.randint(20, 60, 2))
            save_image(tmp_path / split / f"{index}.png", size=(height, width), seed=index)
            images.append({"id": index, "file_name": f"{index}.png", "height": height, "width": width})
            for _ in range(random.randint(0, 13)):
                x, y = float(random.uniform(0, width - 9)), float(random.uniform(0, height - 9))
                annotations.append(
                    {"id": len(annotations), "image_id": index, "category_id": 5, "bbox": [x, y, 8.5, 6.25]}
                )
        content = {"images": images, "annotations": annotations, "categories": [{"id": 5, "name": "thing"}]}
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    return tmp_path


BOXES = {"target": "boxes", "batch_reader": DetectionBatchReader}


@pytest.fixture
def make_module(settings, boxes_root):
    def make(*, batch_size=4, shared=None, splits_file=None, **changes):
        source = parse_source(settings("coco", root=str(boxes_root), **{"image_size": 48, **changes}))
        return VisionDataModule(source, **BOXES, batch_size=batch_size, seed=0, shared=shared, splits_file=splits_file)

    return make


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        set(a) == set(b) and all(torch.equal(a[key], b[key]) for key in a) for a, b in zip(first, second, strict=True)
    )


def test_digits_give_scenes_to_who_wants_boxes(settings):
    scenes = {**settings("digits")["scenes"], "train": 20, "val": 6, "test": 4}
    module = VisionDataModule(parse_source(settings("digits", scenes=scenes)), **BOXES, batch_size=8, seed=0)
    module.setup()
    assert module.sizes == {"train": 20, "val": 6, "test": 4}
    assert module.info.image_size == (128, 128)
    train, val = next(iter(module.train_dataloader())), next(iter(module.val_dataloader()))
    assert train["images"].shape == (8, 1, 128, 128)
    assert "truth_boxes" not in train
    assert torch.equal(val["truth_boxes"], val["boxes"])
    assert int(module.class_counts().sum()) == len(module.dataset("train").annotations.objects)


@pytest.mark.parametrize("fit", ["letterbox", "resize_pad", "resize"])
@pytest.mark.parametrize("augment", [{"horizontal_flip": {}}, {"iou_crop": {}}, {"mosaic": {}, "mixup": {}}])
def test_batches_are_the_same_from_memory_and_from_files_with_any_number_of_workers(make_module, fit, augment):
    batches = []
    for cache_mb, num_workers in ((64, 0), (0, 0), (0, 2)):
        module = make_module(cache_mb=cache_mb, num_workers=num_workers, fit=fit, augment=augment, max_size=80)
        module.setup("fit")
        batches.append([list(module.train_dataloader()), list(module.val_dataloader())])
    assert sum(len(batch["index"]) for batch in batches[0][0]) == 8
    assert all(same(one, other) for other in batches[1:] for one, other in zip(batches[0], other, strict=True))


def test_a_pass_that_is_resumed_goes_on_with_the_same_batches(make_module):
    module = make_module(num_workers=0, augment={"iou_crop": {}, "horizontal_flip": {}})
    module.setup("fit")
    whole = list(module.train_dataloader())
    loader = make_module(num_workers=0, augment={"iou_crop": {}, "horizontal_flip": {}}).train_dataloader()
    loader.load_state_dict({"epoch": 0, "batches": 1})
    assert same(list(loader), whole[1:])


@pytest.mark.parametrize("fit", ["letterbox", "resize_pad", "resize"])
def test_evaluation_and_prediction_see_the_same_pixels(make_module, fit):
    module = make_module(fit=fit, num_workers=0)
    module.setup()
    transform, samples = module.source.input_transform(), module.dataset("val")
    (batch,) = module.val_dataloader()
    images, sizes = transform.pad_batch([transform.fit(samples.image(index)) for index in range(4)])
    assert torch.equal(batch["images"], images)
    assert torch.equal(batch["image_sizes"], sizes)


def test_fitted_images_lie_in_memory_and_a_second_run_decodes_nothing(make_module, monkeypatch):
    import visionkit.data.datamodule as home

    calls = []
    monkeypatch.setattr(home, "decode_originals", lambda *a, **k: calls.append(k["fit"]) or decode_originals(*a, **k))
    shared = SharedCache()
    first, second = make_module(shared=shared), make_module(shared=shared, augment={})
    for module in (first, second):
        module.setup("fit")
    assert len(calls) == 2
    assert None not in calls
    assert first.train_dataloader().num_workers == 0
    make_module(shared=shared, augment={"iou_crop": {}}).setup("fit")
    assert calls[2] is None  # what is cut out of the images needs them as they were


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_unreadable_images_are_dropped_with_their_objects_counted_and_named(make_module, boxes_root, cache_mb):
    (boxes_root / "val" / "2.png").write_bytes(b"broken")
    module = make_module(cache_mb=cache_mb, num_workers=0)
    module.setup()
    whole = make_module(cache_mb=cache_mb).dataset("val")
    (batch,) = module.val_dataloader()
    assert module.notes[-1] == f"1 unreadable image(s) of val dropped: {boxes_root}/val/2.png"
    counts = [int((row >= 0).sum()) for row in batch["truth_labels"]]
    assert counts == [len(whole.annotation(index)) for index in (0, 1, 3)]


def test_odd_entries_are_among_the_notes(make_module, boxes_root):
    file = boxes_root / "train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [1, 1, 0, 5]
    file.write_text(json.dumps(content))
    module = make_module()
    module.setup()
    expected = f"1 box(es) of no width or height dropped: {boxes_root.name}/train.json annotation 0"
    assert expected in module.notes


def test_a_division_is_saved_and_read_back(make_module, boxes_root, tmp_path):
    (boxes_root / "val.json").unlink()
    file = tmp_path / "run" / "splits.json"
    first = make_module(splits_file=file, test_fraction=0)
    first.setup()
    written = file.read_text()
    again = make_module(splits_file=file, test_fraction=0, split_seed=4)
    again.setup()
    assert file.read_text() == written
    assert [again.dataset("val").name(0)] == [first.dataset("val").name(0)]
