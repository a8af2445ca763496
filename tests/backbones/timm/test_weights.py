"""Weights for timm's models: files of our own, and what timm publishes."""

import json
import os
import subprocess
import sys

import pytest
import torch

from visionkit.backbones import create_backbone, read_backbone
from visionkit.errors import UserError

timm = pytest.importorskip("timm")

PUBLISHED = """
import json, sys, torch
from visionkit.models import create_model
model = create_model("classify", {"name": "timm", "model": "mobilenetv3_small_050", "weights": "imagenet"},
                     num_classes=2, in_channels=int(sys.argv[1]))
black = model.normalize(torch.zeros(1, int(sys.argv[1]), 1, 1, dtype=torch.uint8))
print(json.dumps([model.backbone.net.conv_stem.weight.sum().item(), black.flatten().tolist()]))
"""


def test_a_file_of_weights_gives_the_same_maps(tmp_path):
    torch.manual_seed(0)
    one = create_backbone("timm", model="mobilenetv3_small_050").eval()
    torch.save(one.state_dict(), tmp_path / "w.pth")
    other = create_backbone("timm", model="mobilenetv3_small_050", weights=str(tmp_path / "w.pth")).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(one.forward_features(x), other.forward_features(x))


def offline(folder, *arguments):
    """A fresh process: the hub's client reads its settings when it is imported."""
    environment = os.environ | {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", PUBLISHED, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 1])
def test_published_weights_come_from_timms_cache_with_their_normalisation(channels, tmp_path):
    """The cache is laid out as its client does it; timm sums the first filters for grey images."""
    from safetensors.torch import save_file

    published = timm.get_pretrained_cfg("mobilenetv3_small_050")
    repository = tmp_path / "hub" / f"models--{published.hf_hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    weights = timm.create_model("mobilenetv3_small_050").state_dict()
    save_file(weights, repository / "snapshots" / ("0" * 40) / "model.safetensors")
    done = offline(tmp_path, str(channels))
    assert done.returncode == 0, done.stderr
    total, black = json.loads(done.stdout)
    assert total == pytest.approx(weights["conv_stem.weight"].sum().item(), rel=1e-4)
    mean, std = (values if channels == 3 else [sum(values) / 3] for values in (published.mean, published.std))
    assert black == pytest.approx([-m / s for m, s in zip(mean, std, strict=True)], rel=1e-5)


@pytest.mark.slow
def test_published_weights_without_a_network_say_what_to_fetch(tmp_path):
    done = offline(tmp_path, "3")
    assert "UserError: backbone.weights=imagenet: backbone timm-mobilenetv3_small_050: timm could not" in done.stderr
    assert "https://huggingface.co/timm/mobilenetv3_small_050.lamb_in1k" in done.stderr
    assert "timm.create_model('mobilenetv3_small_050', pretrained=True)" in done.stderr


def test_a_model_without_published_weights_says_so():
    with pytest.raises(UserError, match=r"timm publishes no weights for this model. Try backbone.weights=null"):
        create_backbone("timm", model="ghostnet_050", weights="imagenet")


def test_normalisation_is_that_of_the_published_weights():
    spec = read_backbone({"name": "timm", "model": "vit_tiny_patch16_224"})
    assert spec.published_normalization() == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # Steiner et al. 2021's checkpoints


def test_a_run_takes_the_normalisation_that_comes_with_timms_weights(in_empty_folder, monkeypatch, capsys):
    from visionkit.backbones.timm.backbone import TimmBackbone
    from visionkit.cli.main import main

    monkeypatch.setattr(TimmBackbone, "load_published", lambda self: None)
    words = ["backbone=timm", "backbone.model=vit_tiny_patch16_224", "backbone.weights=imagenet", "run_dir=run"]
    words += ["dataset.image_size=224", "debug=fast", "debug.limit_batches=1", "recipe.batch_size=2", "hardware=cpu"]
    assert main(words) == 0, capsys.readouterr().err
    facts = json.loads((in_empty_folder / "run" / "data.json").read_text())
    assert (facts["mean"], facts["std"]) == ([0.5], [0.5])
    assert "their own mean 0.5" in capsys.readouterr().out
