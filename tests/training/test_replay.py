"""debug=nan: the first layer whose output or gradient is not finite is named."""

import json
import math
import shutil

import pytest
import torch
from torch import nn

from tests.helpers.tiny_training import TinyModel
from visionkit.errors import UserError
from visionkit.training.nan_batch import NanBatch, read_nan_batch, write_nan_batch
from visionkit.training.replay import replay_batch


class _Model(TinyModel):
    """A root of a linear layer, whose slope at 0 is infinite."""

    def __init__(self, *, shift=1.0):
        super().__init__()
        self.root = _Root(shift)

    def forward(self, images, image_sizes=None):
        return {"logits": self.linear(self.root(images.flatten(1).float()))}


class _Root(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(36)), shift

    def forward(self, x):
        return (x * self.scale + self.shift).sqrt()


def _kept(model, images, **changes):
    values = {
        "batch": {"images": images, "label": torch.zeros(len(images), dtype=torch.int64)}, "names": [],
        "weights": model.state_dict(), "seed": 0, "epoch": 1, "step": 3, "batch_index": 2, "process": 0,
        "loss": math.nan, "rate": 0.1,
    }  # fmt: skip
    return NanBatch(**{**values, **changes})


def _images(value, sample=1):
    images = torch.ones(3, 1, 6, 6)
    images[sample, 0, 0, 0] = value
    return images


@pytest.mark.parametrize(
    ("images", "shift", "expected"),
    [
        (_images(2.0), 1.0, (None, "", ())),
        (_images(math.inf), 1.0, ("images", "", (1,))),
        (_images(-5.0), 1.0, ("output", "root", (1,))),
        (_images(-1.0, 2), 1.0, ("gradient", "root.scale", ())),
    ],
)
def test_the_first_that_is_not_finite_is_named_with_its_samples(images, shift, expected):
    torch.manual_seed(0)
    model = _Model(shift=shift)
    found = replay_batch(model, _kept(model, images))
    assert (found.kind, found.layer, found.samples) == expected
    if found.kind == "output":
        assert (found.layer_type, found.low, found.high, found.num_bad) == ("_Root", -5.0, 1.0, 1)


def test_weights_and_losses_that_are_not_finite_are_named():
    model = _Model()
    model.linear.bias.data[1] = math.nan
    found = replay_batch(model, _kept(model, _images(1.0)))
    assert (found.kind, found.layer, found.num_bad) == ("weights", "linear.bias", 1)
    model = _Model()
    model.loss = lambda outputs, targets: {"mine": outputs["logits"].sum() * math.inf}
    found = replay_batch(model, _kept(model, _images(1.0)))
    assert (found.kind, found.layer, found.losses["mine"] in (math.inf, -math.inf)) == ("loss", "mine", True)


def test_what_the_model_draws_is_drawn_again():
    class Drawing(TinyModel):
        def loss(self, outputs, targets):
            return {"loss": torch.rand(()) + 0 * outputs["logits"].sum()}

    from visionkit.data.sample_seeds import mix_seed

    torch.manual_seed(mix_seed(7, 0, 2, 1))
    expected = float(torch.rand(()))
    model = Drawing()
    assert replay_batch(model, _kept(model, _images(1.0), seed=7, process=1)).losses["loss"] == expected


def test_a_batch_is_read_as_it_was_written_and_no_other_file_is_taken_for_one(tmp_path):
    model = _Model()
    write_nan_batch(_kept(model, _images(3.0), names=["a.png"]), tmp_path / "nan_batch.pt")
    kept = read_nan_batch(tmp_path / "nan_batch.pt")
    assert (kept.names, kept.step, math.isnan(kept.loss)) == (["a.png"], 3, True)
    assert torch.equal(kept.batch["images"], _images(3.0))
    with pytest.raises(UserError, match=r"debug=nan: there is no .*other\.pt"):
        read_nan_batch(tmp_path / "other.pt")
    for content in ({"batch": {}}, [1], {**vars(kept), "step": "3"}, {**vars(kept), "batch": {"images": 3}}):
        torch.save(content, tmp_path / "damaged.pt")
        with pytest.raises(UserError, match="is not what a run wrote"):
            read_nan_batch(tmp_path / "damaged.pt")


def test_the_command_names_weights_layer_and_images(in_empty_folder, cli, shared_runs):
    shutil.copytree(shared_runs.of("classify"), in_empty_folder / "run")
    weights = torch.load("run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    weights = {name.removeprefix("model."): value for name, value in weights.items()}
    layer = next(name for name in weights if name.endswith("weight") and weights[name].ndim == 4)
    weights[layer] *= 1e38
    images = torch.full((2, 1, 32, 32), 200, dtype=torch.uint8)
    batch = {"images": images, "label": torch.tensor([1, 2]), "index": torch.tensor([4, 8])}
    kept = _kept(TinyModel(), images, batch=batch, weights=weights, names=["a.png", "b.png"])
    write_nan_batch(kept, in_empty_folder / "run" / "nan_batch.pt")
    code, out, err = cli("train", "run=run", "debug=nan", "hardware=cpu")
    assert code == 0, err
    assert f"the output of the layer '{layer.removesuffix('.weight')}' (Conv2d)" in out
    assert "images   a.png, b.png" in out
    code, out, _ = cli("train", "run=run", "debug=nan", "format=json", "hardware=cpu")
    found = json.loads(out)
    assert (code, found["kind"], found["samples"], found["epoch"]) == (0, "output", ["a.png", "b.png"], 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "debug=nan"), "say which run. Type: python -m visionkit train run=latest debug=nan"),
        (("train", "run={}", "debug=nan"), "there is no "),
        (("train", "run={}", "debug=nan", "seed=3"), "debug=nan takes a run as it is, and 'seed' would change it"),
        (("train", "run={}", "debug=nan", "resume=true"), "resume=true goes on with a training. Give one of both"),
        (("-m", "debug=nan", "seed=1,2"), "debug=nan trains nothing"),
    ],
)
def test_a_replay_of_nothing_is_refused(in_empty_folder, cli, shared_runs, words, message):
    code, _, err = cli(*(word.format(shared_runs.of("classify")) for word in words))
    assert (code, message in err) == (2, True), err


def test_in_python_a_replay_is_a_command_of_its_own(in_empty_folder):
    import visionkit as vk

    with pytest.raises(UserError, match="debug=nan trains nothing"):
        vk.train(debug="nan")
