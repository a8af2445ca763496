"""The picture of the first training batch."""

from types import SimpleNamespace

import pytest

from visionkit.data import VisionDataModule
from visionkit.data.sources import read_source
from visionkit.report.drawing import classify
from visionkit.runs.folder import RunFolder
from visionkit.settings import Mix
from visionkit.tasks.info import TASKS
from visionkit.training.build import make_mixing
from visionkit.training.pictures import draw_training


@pytest.mark.parametrize(
    ("batch_size", "processes", "count"), [(48, 1, "48 images"), (100, 1, "64 of 100 images"), (8, 2, "8 of 16 images")]
)
def test_the_title_of_the_first_batch_counts_the_whole_batch(tmp_path, monkeypatch, batch_size, processes, count):
    titles = []
    monkeypatch.setattr(classify, "plot_captioned", lambda *arguments, title: titles.append(title))
    module = VisionDataModule(read_source({"type": "digits"}), batch_size=batch_size, seed=0)
    module.setup("fit")
    run = SimpleNamespace(
        datamodule=module,
        config=SimpleNamespace(task=TASKS["classify"], recipe=SimpleNamespace(mix=None)),
        data={"class_names": module.info.class_names},
        folder=RunFolder(tmp_path),
        processes=SimpleNamespace(count=processes),
    )
    draw_training(run, SimpleNamespace(draw_curves=lambda: None))
    assert titles == [f"train split, first batch: truth of {count}"]


def test_images_of_a_mixed_batch_have_the_shares_of_their_classes(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(classify, "plot_captioned", lambda images, captions, *rest, **names: drawn.append(captions))
    module = VisionDataModule(read_source({"type": "digits"}), batch_size=100, seed=0)
    module.setup("fit")
    recipe = SimpleNamespace(mix=Mix(mixup=8.0, cutmix=0.0, p=1.0, off_last=0.0), epochs=1)
    run = SimpleNamespace(
        datamodule=module,
        config=SimpleNamespace(task=TASKS["classify"], recipe=recipe, seed=0),
        data={"class_names": module.info.class_names},
        folder=RunFolder(tmp_path),
        processes=SimpleNamespace(count=1),
    )
    draw_training(run, SimpleNamespace(draw_curves=lambda: None))
    (captions,) = drawn
    labels = next(iter(module.train_dataloader()))["label"].tolist()
    mixing = make_mixing(run.config, run.data)
    share = mixing.draw(0, 0, (32, 32)).share
    assert len(captions) == 64
    for number, caption in enumerate(captions):
        shares = sorted([(share, labels[number]), (1 - share, labels[(number + 50) % 100])], reverse=True)
        if shares[0][1] == shares[1][1]:
            assert caption == f"{labels[number]} 100%"
        else:
            assert caption == "\n".join(f"{label} {part:.0%}" for part, label in shares)
