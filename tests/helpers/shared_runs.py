"""Trained runs that many tests only look at, made once for all workers of a test session."""

import os
import shutil
from pathlib import Path

from filelock import FileLock

from tests.helpers.pictures import blank_pictures

_SCENES = ("hardware=cpu", "recipe.batch_size=8", "dataset.image_size=64", "dataset.scenes.count=[1,2]")
TRAINED = {
    "classify": ("hardware=cpu", "recipe.epochs=6"),
    "detect": (
        "task=detect", *_SCENES, "dataset.scenes.val=24", "dataset.scenes.test=24", "dataset.scenes.train=96",
        "recipe.epochs=4",
    ),
    "segment": (
        "task=segment", "backbone=lenet", "head.channels=[16,16]", *_SCENES, "dataset.scenes.val=16",
        "dataset.scenes.test=24", "dataset.scenes.train=80", "recipe.epochs=3",
    ),
    "instance": (
        "task=instance", *_SCENES, "dataset.scenes.val=16", "dataset.scenes.test=16", "head.neck.out_channels=32",
        "head.mask_channels=16", "head.mask_convs=1", "head.hidden=[64]", "head.sampled_proposals=32",
        "head.proposals=50", "head.training_proposals=100", "dataset.scenes.train=64", "recipe.epochs=5",
    ),
}  # fmt: skip
"""The words of the one finished run of each task that has learnt a little."""


class SharedRuns:
    """Folders below the temporary root of the session, one per name.

    Attributes:
        root: A folder that all workers of the session see.
    """

    def __init__(self, root):
        self.root = Path(root)

    def make(self, name, create):
        """The folder of this name, filled by ``create(folder)`` unless a worker has done so; for reading only.

        A second worker that asks meanwhile waits. The folder is alone in its parent, which is the working directory
        while it is filled.
        """
        folder = self.root / name / "run"
        marks = self.root / "marks"
        marks.mkdir(parents=True, exist_ok=True)
        with FileLock(marks / f"{name}.lock"):
            if not (marks / name).exists():
                shutil.rmtree(folder.parent, ignore_errors=True)
                folder.parent.mkdir()
                before = os.getcwd()
                os.chdir(folder.parent)
                try:
                    create(folder)
                finally:
                    os.chdir(before)
                (marks / name).touch()
        return folder

    def of(self, task):
        """The folder of the run of a task in `TRAINED`."""
        return self.train(task, *TRAINED[task])

    def exported(self, task):
        """The folder of a copy of the run of a task, with an ONNX file in ``exports/onnx``."""

        def create(folder):
            from visionkit.cli.main import main

            shutil.copytree(self.of(task), folder)
            assert main(["export", f"run={folder}", "to=onnx"]) == 0

        return self.make(f"{task}-exported", create)

    def train(self, name, *overrides, code=0):
        """The folder of a finished run, sweep or search with these overrides, for which a name always stands.

        Args:
            name: Of the folder.
            overrides: Words of the command line.
            code: What the command line exits with.
        """

        def create(folder):
            from visionkit.cli.main import main

            with blank_pictures(False):
                assert main([*overrides, f"run_dir={folder}"]) == code

        return self.make(name, create)
