"""The picture of the first training batch."""

from types import SimpleNamespace

import pytest

from visionkit.data import VisionDataModule
from visionkit.data.sources import read_source
from visionkit.report.drawing import classify
from visionkit.runs.folder import RunFolder
from visionkit.tasks.info import TASKS
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
        config=SimpleNamespace(task=TASKS["classify"]),
        data={"class_names": module.info.class_names},
        folder=RunFolder(tmp_path),
        processes=SimpleNamespace(count=processes),
    )
    draw_training(run, SimpleNamespace(draw_curves=lambda: None))
    assert titles == [f"train split, first batch: truth of {count}"]
