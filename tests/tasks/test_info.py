"""What tasks say about themselves."""

import subprocess
import sys
from dataclasses import replace

import pytest

from visionkit.tasks.info import TASKS


def test_classification_is_judged_by_validation_accuracy():
    info = TASKS["classify"]
    assert (info.name, info.target, info.monitor, info.mode) == ("classify", "label", "val/accuracy", "max")


def test_images_of_several_classes_are_judged_by_mean_average_precision():
    info = TASKS["multilabel"]
    assert (info.name, info.target, info.monitor, info.mode) == ("multilabel", "label_set", "val/map", "max")


@pytest.mark.parametrize(
    ("mode", "new", "old", "better"),
    [
        ("max", 0.5, None, True),
        ("max", 0.5, 0.4, True),
        ("max", 0.4, 0.4, False),
        ("min", 0.4, 0.5, True),
        ("min", 0.6, 0.5, False),
        ("max", float("nan"), None, False),
    ],
)
def test_better_follows_the_mode(mode, new, old, better):
    assert replace(TASKS["classify"], mode=mode).better(new, old) is better


def test_tasks_and_settings_are_known_without_torch():
    code = "import visionkit.tasks.info, visionkit.settings, visionkit.runs.folder, sys; "
    code += "print([m for m in ('torch', 'lightning', 'torchmetrics', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
