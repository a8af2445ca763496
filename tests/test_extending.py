"""docs/extending: a page for each registry, whose code and commands work as they stand, from outside the package."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY
from tests.helpers.plugins import REGISTRIES

FOLDER = REPOSITORY / "docs" / "extending"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def run_page(cli, page):
    """Write the files of a page here, and run its commands; the output of each."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, flags=re.DOTALL):
        Path(name).write_text(content, encoding="utf-8")
    outputs = []
    for command in re.findall(r"^python -m visionkit (.*)$", text, flags=re.MULTILINE):
        words = shlex.split(command)
        words += [] if words[0] == "-m" else ["format=json"]
        words += ["dataset.scenes={train: 8, val: 4, test: 4}"] if {"task=detect", "task=segment"} & set(words) else []
        code, out, err = cli(*words)
        assert code == 0, err
        outputs.append(out if words[0] == "-m" else json.loads(out))
    return outputs


def columns(output):
    with open(Path(output["run"]) / "metrics.csv", encoding="utf-8") as file:
        return next(csv.reader(file))


def check_block(inspected, trained):
    assert inspected["layers"][0]["type"] == "double"
    assert "test/accuracy" in trained["metrics"]


def check_head(trained, table):
    assert "val/accuracy" in trained["metrics"]
    assert "max_pooled" in table


def check_neck(inspected, trained):
    paths = [layer["name"] for layer in inspected["layers"]]
    assert [path for path in paths if path.startswith("neck")] == ["neck.layers.stride2", "neck.layers.stride4"]
    assert "val/map" in trained["metrics"]


def check_loss(alone, together):
    assert "train/tversky" in columns(alone)
    assert "train/cross_entropy" not in columns(alone)
    assert {"train/tversky", "train/cross_entropy"} <= set(columns(together))


def check_dataset(trained):
    assert trained["metrics"]["val/accuracy"] == 1.0


def check_augmentation(trained, joined):
    from my_augmentation import Darker
    from my_joining import AnotherMask

    from visionkit.data.augment.image import build_transform
    from visionkit.data.augment.parsing import parse_augments

    assert isinstance(build_transform(*parse_augments({"darker": {"by": 3}}, where="augment"), (32, 32)), Darker)
    assert "val/accuracy" in trained["metrics"]
    assert AnotherMask()([{"mask": 0}, {"mask": 1}]) == {"mask": 1}
    assert "val/mean_iou" in joined["metrics"]


def check_optimizer(trained):
    import torch

    checkpoint = torch.load(Path(trained["run"]) / "checkpoints" / "last.ckpt", weights_only=True)
    assert {"alpha", "centered"} <= set(checkpoint["optimizer_states"][0]["param_groups"][0])  # RMSprop's own


def check_schedule(trained, table):
    with open(Path(trained["run"]) / "metrics.csv", encoding="utf-8") as file:
        rates = [(int(float(row["step"])), float(row["lr"])) for row in csv.DictReader(file)]
    warmup_steps = round(0.5 * rates[-1][0])  # one of two epochs
    for steps, rate in rates:
        expected = (10 / max(steps - 1 - warmup_steps, 10)) ** 0.5
        assert rate == pytest.approx(0.05 * (steps / (warmup_steps + 1) if steps <= warmup_steps else expected))
    assert "inverse_root" in table


def check_metric(trained):
    assert 0 <= trained["metrics"]["test/sure_and_wrong"] <= 1
    assert 0 <= trained["metrics"]["val/auroc"] <= 1


def check_callback(trained):
    epoch, norm = Path("noted/norms.txt").read_text().split()
    assert (epoch, float(norm) > 1) == ("1", True)


def check_logger(trained):
    assert "val/accuracy" in Path("logged/written/metrics.csv").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_brings_is_reached_by_its_commands(cli, in_empty_folder, monkeypatch, page):
    monkeypatch.syspath_prepend(str(in_empty_folder))
    globals()[f"check_{page}"](*run_page(cli, page))


def test_each_registry_has_a_page():
    text = "".join((FOLDER / f"{page}.md").read_text(encoding="utf-8") for page in PAGES)
    kinds = {registry.kind.split()[0] for registry in REGISTRIES} - {"norm"}  # a norm is a key of blocks
    assert kinds == set(PAGES)
    listed = re.findall(r"\]\((\w+)\.md\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == PAGES
    assert all(f"# {'An' if page[0] in 'aeiou' else 'A'} " in text for page in PAGES)
