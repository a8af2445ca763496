import json
import tarfile
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from tests.helpers.paths import SHARED_DATA
from visionkit.data.datamodule import VisionDataModule
from visionkit.data.images import load_image
from visionkit.data.sources import parse_source
from visionkit.errors import UserError

SHARED = SHARED_DATA


@pytest.fixture
def make_module(settings):
    """A DataModule of conf/dataset/NAME.yaml with changed settings."""

    def make(name: str, *, batch_size: int = 4, seed: int = 0, strict=False, splits_file=None, **changes):
        source = parse_source(settings(name, **changes))
        return VisionDataModule(source, batch_size=batch_size, seed=seed, strict=strict, splits_file=splits_file)

    return make


@pytest.fixture
def tree(make_tree) -> Path:
    return make_tree({"train/a": 6, "train/b": 5, "val/a": 2, "val/b": 2, "test/b": 3}, size=(10, 12))


class Recorder(LightningModule):
    """Notes which samples come in which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: dict[int, list[int]] = {}

    def training_step(self, batch, batch_idx):
        self.seen.setdefault(self.current_epoch, []).extend(batch["index"].tolist())
        return self.weight.sum() + 0.0 * batch["images"].float().mean()

    def validation_step(self, batch, batch_idx):
        self.seen.setdefault(-1, []).extend(batch["index"].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def make_trainer(tmp_path: Path, epochs: int) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
    )


def test_digits_give_whole_batches_of_uint8_images(make_module):
    module = make_module("digits", batch_size=64)
    module.setup()
    assert module.sizes == {"train": 1257, "val": 270, "test": 270}
    assert int(module.class_counts().sum()) == 1257
    batch = next(iter(module.train_dataloader()))
    assert batch["images"].shape == (64, 1, 32, 32)
    assert batch["images"].dtype == torch.uint8
    assert torch.equal(batch["label"], module.dataset("train").labels[batch["index"]])


@pytest.mark.parametrize("name", ["digits", "mnist"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_and_prediction_see_the_same_pixels(make_module, make_mnist, name, split):
    changes = {"root": str(make_mnist()), "val_size": 20} if name == "mnist" else {}
    module = make_module(name, batch_size=7, **changes)
    module.setup()
    transform, samples = module.source.input_transform(), module.dataset(split)
    seen = 0
    for batch in module.loader(split):
        for image, index in zip(batch["images"], batch["index"].tolist(), strict=True):
            assert torch.equal(image, transform(samples.image(index)))
            seen += 1
    assert seen == len(samples)


@pytest.mark.parametrize("cache_mb", [0, 64])
@pytest.mark.parametrize("fit", ["resize", "pad", "resize_crop"])
def test_evaluation_and_prediction_see_the_same_pixels_of_files(make_module, tree, cache_mb, fit):
    module = make_module("folder", root=str(tree), image_size=9, fit=fit, cache_mb=cache_mb, num_workers=0)
    module.setup()
    samples = module.dataset("val")
    (batch,) = list(module.val_dataloader())
    expected = [module.source.input_transform()(load_image(samples.name(index))) for index in batch["index"].tolist()]
    assert torch.equal(batch["images"], torch.stack(expected))


def test_files_that_fit_lie_in_memory_as_one_tensor(make_module, tree):
    module = make_module("folder", root=str(tree), image_size=8)
    module.setup("fit")
    decoded = module._reader("train").cache
    assert decoded.images.shape == (11, 3, 8, 8)
    assert module.train_dataloader().num_workers == 0


def test_files_that_do_not_fit_are_decoded_by_workers(make_module, tree):
    module = make_module("folder", root=str(tree), image_size=8, cache_mb=0)
    module.setup("fit")
    assert module._reader("train").cache is None
    assert module.train_dataloader().num_workers >= 1


def test_resized_crops_are_cut_from_the_original_pixels(make_module, make_tree):
    root = make_tree({"train/a": 4, "train/b": 4, "val/a": 1, "val/b": 1}, size=(20, 20))
    crop = {"random_resized_crop": {"scale": [0.16, 0.16], "ratio": [1.0, 1.0]}}
    module = make_module("folder", root=str(root), image_size=8, augment=crop)
    module.setup("fit")
    assert module._reader("train").cache.images.shape == (8, 3, 20, 20)
    batch = next(iter(module.train_dataloader()))
    original = module.dataset("train").image(int(batch["index"][0]))
    windows = original.unfold(1, 8, 1).unfold(2, 8, 1)  # (3, 13, 13, 8, 8)
    equal = (windows == batch["images"][0][:, None, None]).all(-1).all(-1).all(0)
    assert int(equal.sum()) == 1
    assert next(iter(module.loader("train")))["images"].shape == (4, 3, 8, 8)


def test_evaluation_is_not_augmented(make_module, tree):
    module = make_module("folder", root=str(tree), image_size=8, augment={"horizontal_flip": {"p": 1.0}})
    module.setup("fit")
    plain = next(iter(module.loader("train")))
    trained = {
        int(i): image for b in module.train_dataloader() for i, image in zip(b["index"], b["images"], strict=True)
    }
    assert torch.equal(trained[0], plain["images"][0].flip(-1))


def test_no_test_split_is_noted_and_not_in_the_sizes(make_module, make_tree):
    module = make_module(
        "folder", root=str(make_tree({"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})), image_size=8
    )
    module.setup()
    assert module.sizes == {"train": 4, "val": 2}
    assert module.notes == ["no test split: validation numbers are reported"]
    with pytest.raises(
        UserError, match=r"dataset 'folder' has no split 'test'. Known splits: train, val. Try: split=val"
    ):
        module.test_dataloader()


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_unreadable_images_are_dropped_or_replaced_counted_and_named(make_module, tree, cache_mb):
    broken = tree / "train" / "a" / "002.png"
    broken.write_bytes(b"broken")
    module = make_module("folder", root=str(tree), image_size=8, cache_mb=cache_mb, augment=None, batch_size=11)
    module.setup()
    (batch,) = module.train_dataloader()
    assert len(batch["index"]) == (10 if cache_mb else 11)
    assert len(batch["index"].unique()) == 10
    what = "dropped" if cache_mb else "replaced by the next readable one"
    assert module.notes[1:] == [f"1 unreadable image(s) of train {what}: {broken}"]
    if cache_mb:
        assert module.sizes["train"] == 10
        assert module.class_counts().tolist() == [5, 5]


def test_an_unreadable_image_is_an_error_when_strict(make_module, tree):
    (tree / "val" / "b" / "001.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"image '.*val/b/001.png' cannot be read.*strict=false"):
        make_module("folder", root=str(tree), image_size=8, strict=True).setup()


def test_a_split_of_unreadable_images_alone_is_an_error(make_module, tree):
    for path in (tree / "val").rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"none of the 4 images of the val split can be read: image '.*000.png'"):
        make_module("folder", root=str(tree), image_size=8).setup("fit")


def test_a_division_is_written_once_and_read_back_whatever_the_seed(make_module, make_tree, tmp_path):
    root = make_tree({"a": 10, "b": 10})
    file = tmp_path / "run" / "splits.json"
    first = make_module("folder", root=str(root), image_size=8, splits_file=file)
    first.setup()
    written = file.read_text()
    again = make_module("folder", root=str(root), image_size=8, seed=9, splits_file=file)
    again.setup()
    assert file.read_text() == written
    assert set(json.loads(written)) == {"train", "val", "test"}
    test_names = [[m.dataset("test").name(i) for i in range(3)] for m in (first, again)]
    assert test_names[0] == test_names[1]
    assert [path.name for path in file.parent.iterdir()] == ["splits.json"]


def test_no_division_is_written_where_the_data_are_broken(make_module, make_tree, tmp_path):
    root = make_tree({"a": 10, "b": 10})
    (root / "a" / "000.png").write_bytes(b"broken")
    module = make_module("folder", root=str(root), image_size=8, strict=True, splits_file=tmp_path / "run" / "s.json")
    with pytest.raises(UserError, match=r"a/000.png' cannot be read"):
        module.setup()
    assert not (tmp_path / "run").exists()


def test_nothing_is_written_where_the_data_came_divided(make_module, tree, tmp_path):
    make_module("folder", root=str(tree), image_size=8, splits_file=tmp_path / "splits.json").setup()
    assert not (tmp_path / "splits.json").exists()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_file_of_the_division_is_named(make_module, make_tree, tmp_path, text):
    (tmp_path / "splits.json").write_text(text)
    root = make_tree({"a": 10, "b": 10})
    with pytest.raises(UserError, match=r"the saved division '.*splits.json' .*Remove it to divide anew"):
        make_module("folder", root=str(root), image_size=8, splits_file=tmp_path / "splits.json").setup()


def test_a_target_that_the_source_does_not_give_is_refused(settings):
    with pytest.raises(UserError, match=r"dataset 'mnist' gives label, not 'boxes'"):
        VisionDataModule(parse_source(settings("mnist")), target="boxes", batch_size=4, seed=0)


def test_a_trainer_gets_full_batches_in_a_new_order_each_epoch(make_module, tree, tmp_path):
    module, model = make_module("folder", root=str(tree), image_size=8), Recorder()
    make_trainer(tmp_path, epochs=2).fit(model, datamodule=module)
    assert [len(set(model.seen[epoch])) for epoch in (0, 1)] == [8, 8]  # of 11 images, in batches of 4
    assert model.seen[0] != model.seen[1]
    assert model.seen[-1] == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_resumed_run_goes_on_with_the_order_of_its_epoch(make_module, tree, tmp_path, num_workers):
    def fit(epochs: int, checkpoint=None):
        module, model = make_module("folder", root=str(tree), image_size=8, num_workers=num_workers), Recorder()
        trainer = make_trainer(tmp_path, epochs)
        trainer.fit(model, datamodule=module, ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return model.seen

    whole = fit(3)
    fit(2)
    assert fit(3, tmp_path / "last.ckpt")[2] == whole[2]


def test_a_batch_size_that_processes_cannot_share_says_what_to_type(make_module, monkeypatch):
    module = make_module("digits", batch_size=10)
    monkeypatch.setattr(VisionDataModule, "_world_size", 4)
    with pytest.raises(UserError, match=r"recipe.batch_size: 10 .* 4 processes.* 8 and 12. Try: recipe.batch_size=12"):
        module.train_dataloader()


def test_each_process_gets_its_part_of_the_batch(make_module, monkeypatch):
    module = make_module("digits", batch_size=64, augment=None)
    monkeypatch.setattr(VisionDataModule, "_world_size", 4)
    assert len(next(iter(module.train_dataloader()))["label"]) == 16


@pytest.mark.slow
def test_the_real_cifar_files_are_read_by_folder(make_module, tmp_path):
    archive = SHARED / "cifar10-jpeg.tar.gz"
    if not archive.is_file():
        pytest.skip("../shared/data/cifar10-jpeg.tar.gz is absent")
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() and Path(member.name).stem < "0012":
                target = tmp_path / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(packed.extractfile(member).read())
    module = make_module("folder", root=str(tmp_path), image_size=32, batch_size=16)
    module.setup()
    assert module.info.num_classes == 10
    assert module.sizes == {"train": 102, "val": 18, "test": 120}
    assert module._reader("train").cache.images.shape == (102, 3, 32, 32)


def test_balance_draws_classes_alike_in_training_and_leaves_validation_as_it_is(make_module, make_tree):
    root = make_tree({"train/a": 18, "train/b": 2, "val/a": 3, "val/b": 1})
    module = make_module("folder", root=str(root), image_size=8, balance=True, num_workers=0)
    module.setup("fit")
    labels = torch.cat([batch["label"] for batch in module.train_dataloader()])
    assert labels.bincount().tolist() == [10, 10]
    assert [batch["index"].tolist() for batch in module.val_dataloader()] == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("name", "target"), [("digits", "boxes"), ("digits", "mask"), ("coco", "instances")])
def test_balance_is_refused_where_an_image_may_show_several_classes(settings, name, target):
    source = parse_source(settings(name, balance=True))
    with pytest.raises(UserError, match=rf"dataset.balance: .* {target}.*It is for task=classify"):
        VisionDataModule(source, target=target, batch_size=4, seed=0)


def test_a_split_of_more_images_than_may_be_decoded_beforehand_is_read_image_by_image(settings, tree):
    source = parse_source(settings("folder", root=str(tree), image_size=8))
    module = VisionDataModule(source, batch_size=2, seed=0, max_decoded=5)
    module.setup()
    caches = {split: module._reader(split).cache for split in ("train", "val", "test")}
    assert {split: cache is not None for split, cache in caches.items()} == {"train": False, "val": True, "test": True}
    assert next(iter(module.loader("train")))["images"].shape == (2, 3, 8, 8)
