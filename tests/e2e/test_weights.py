"""Starting from published weights through the command line; every run after the first needs them no more."""

import json
import subprocess
import sys
import urllib.error

import pytest
import torch
from PIL import Image

from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD
from visionkit.runs.checkpoint import load_run_model
from visionkit.runs.folder import RunFolder

STILL = ("debug=fast", "hardware=cpu", "recipe.lr=1e-12", "recipe.optimizer.weight_decay=0")
"""Training whose steps are too small to move a weight."""


@pytest.fixture
def photos(in_empty_folder):
    generator = torch.Generator().manual_seed(0)
    for name in ("cat", "dog"):
        (in_empty_folder / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = torch.randint(0, 256, (48, 40, 3), dtype=torch.uint8, generator=generator)
            Image.fromarray(pixels.numpy()).save(in_empty_folder / "photos" / name / f"{i:03d}.png")
    return ("dataset=folder", "dataset.root=photos", "dataset.image_size=64")


def recorded(folder):
    facts = json.loads((folder / "data.json").read_text())
    return facts["mean"], facts["std"]


def test_a_classifier_starts_from_published_weights_and_its_run_needs_them_no_more(
    cli, in_empty_folder, published, photos
):
    theirs = published.network("squeezenet1_1")
    code, out, err = cli(*photos, *STILL, "backbone=squeezenet1_1", "weights=imagenet", "run_dir=run")
    assert code == 0, err
    lines = [
        "weights  imagenet; their own mean 0.485 0.456 0.406, std 0.229 0.224 0.225",
        "weights  'imagenet' tells 1000 classes apart, and here are 2: the output layer (head.layers.output) is left "
        "out and starts afresh",
    ]
    for text in (out, (in_empty_folder / "run" / "log.txt").read_text()):
        assert all(line in text for line in lines)
    assert "weights: " not in err

    published.file("squeezenet1_1").unlink()
    model = load_run_model(RunFolder.open("run"))
    theirs.classifier[1] = model.head.layers.output
    x = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = theirs((x / 255 - mean) / std)
        torch.testing.assert_close(model(x)["logits"], expected, rtol=1e-4, atol=1e-4)
    for words in (
        ["evaluate", "run=run", "split=val"],
        ["predict", "run=run", "source=photos/cat/000.png"],
        ["train", "run=run", "resume=true", "recipe.epochs=2"],
    ):
        code, _, err = cli(*words)
        assert code == 0, err


def test_a_backbone_alone_on_grey_digits_sums_its_filters_and_keeps_the_average_of_mean_and_std(
    cli, in_empty_folder, published
):
    theirs = published.network("squeezenet1_1")
    code, out, err = cli(*STILL, "backbone=squeezenet1_1", "backbone.weights=imagenet", "head=linear", "run_dir=run",
                         "dataset.image_size=64")  # fmt: skip
    assert code == 0, err
    assert "weights  imagenet, in the backbone alone; their own mean 0.449, std 0.226" in out
    assert "takes images of 3 channel(s), and these have 1: the first filters (stem.conv.conv.weight) are summed" in out
    mean, std = recorded(in_empty_folder / "run")
    assert (mean, std) == ([pytest.approx(sum(IMAGENET_MEAN) / 3)], [pytest.approx(sum(IMAGENET_STD) / 3)])
    weight = load_run_model(RunFolder.open("run")).backbone.stem.conv.conv.weight
    torch.testing.assert_close(weight, theirs.features[0].weight.sum(1, keepdim=True))


def test_mean_and_std_outlive_the_first_run(cli, in_empty_folder, published, photos):
    """A run's own normalisation is what evaluation, resuming, and a run that starts from it use."""
    published.network("googlenet", aux_logits=True, init_weights=False)
    code, _, err = cli(*photos, *STILL, "backbone=googlenet", "weights=imagenet", "run_dir=first")
    assert code == 0, err
    half = [pytest.approx([0.5] * 3), pytest.approx([0.5] * 3)]
    assert list(recorded(in_empty_folder / "first")) == half
    published.file("googlenet").unlink()
    assert cli("evaluate", "run=first")[0] == 0
    code, _, err = cli("train", "run=first", "resume=true", "recipe.epochs=2")
    assert code == 0, err
    assert list(recorded(in_empty_folder / "first")) == half
    code, out, err = cli(*photos, *STILL, "backbone=googlenet", "weights=run:first", "run_dir=second")
    assert code == 0, err
    assert list(recorded(in_empty_folder / "second")) == half
    assert "weights  run:first; their own mean 0.5 0.5 0.5, std 0.5 0.5 0.5" in out
    assert "starts afresh" not in out


def test_our_own_file_leaves_the_mean_and_std_of_the_data(cli, in_empty_folder):
    assert cli(*STILL, "run_dir=first")[0] == 0
    code, out, _ = cli(*STILL, "weights=first/model.safetensors", "run_dir=second")
    assert code == 0
    assert recorded(in_empty_folder / "second") == recorded(in_empty_folder / "first") == ([0.3058], [0.3241])
    assert "weights  first/model.safetensors; the data's mean 0.3058, std 0.3241" in out


def test_a_run_is_judged_without_the_file_that_it_started_from(cli, in_empty_folder):
    assert cli(*STILL, "run_dir=first")[0] == 0
    (in_empty_folder / "first" / "model.safetensors").rename("start.safetensors")
    assert cli(*STILL, "weights=start.safetensors", "run_dir=second")[0] == 0
    (in_empty_folder / "start.safetensors").unlink()
    assert cli("evaluate", "run=second")[0] == 0


def test_without_a_network_no_folder_is_left(cli, in_empty_folder, published, monkeypatch):
    def fail(url, file, hash_prefix=None):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    code, out, err = cli("backbone=resnet18", "weights=imagenet", "debug=fast", "hardware=cpu")
    assert (code, out) == (2, "")
    assert "Download https://download.pytorch.org/models/resnet18-f37072fd.pth where there is a network" in err
    assert str(published.file("resnet18")) in err
    assert list(in_empty_folder.iterdir()) == []


def test_a_file_with_code_in_it_is_refused(cli, in_empty_folder):
    torch.save({"state_dict": {"a": print}}, "code.pth")
    code, _, err = cli("weights=code.pth", "debug=fast", "hardware=cpu")
    assert code == 2
    assert "'code.pth' holds more than tensors" in err
    assert [path.name for path in in_empty_folder.iterdir()] == ["code.pth"]


def test_words_that_mean_no_weights_are_found_out_before_torch_is_imported(in_empty_folder):
    mistakes = {
        "weights=imagnet": "weights: file 'imagnet' does not exist. Did you mean 'imagenet'?",
        "backbone.weights=imagnet": "backbone.weights: file 'imagnet' does not exist. Did you mean 'imagenet'?",
        "weights=imagenet": "there are no published weights of lenet",
        "weights=run:nowhere": "'nowhere' is no run with weights: there is no such folder",
        "backbone=resnet18 weights=imagenet backbone.weights=imagenet_v1": "Give one of both",
    }
    script = (
        "import sys\nfrom visionkit.cli.main import main\n"
        f"codes = [main(words.split()) for words in {list(mistakes)}]\n"
        "print('RESULT', codes, [m for m in ('torch', 'torchvision') if m in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "RESULT [2, 2, 2, 2, 2] []" in result.stdout
    for line, message in zip(result.stderr.splitlines(), mistakes.values(), strict=True):
        assert message in line
    assert list(in_empty_folder.iterdir()) == []


def test_the_newest_run_as_a_start_is_written_down_by_its_folder(cli, in_empty_folder):
    assert cli("debug=fast", "hardware=cpu")[0] == 0
    code, _, err = cli("debug=fast", "hardware=cpu", "weights=run:latest", "run_dir=second")
    assert code == 0, err
    (first,) = (in_empty_folder / "runs").glob("*/*")
    assert RunFolder.open("second").read_config()["weights"] == f"run:{first.relative_to(in_empty_folder)}"
