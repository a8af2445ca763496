"""Whole models outside Lightning: preprocessing, heads, losses, predictions."""

import pytest
import torch
from torch.nn import functional as F

from visionkit import UserError, create_model
from visionkit.models.normalize import Normalize


def images(n=4, channels=1, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def test_preprocess_equals_torchvisions_to_dtype_and_normalize():
    from torchvision.transforms.v2 import functional as V

    x = images(channels=3)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    expected = V.normalize(V.to_dtype(x, torch.float32, scale=True), mean, std)
    torch.testing.assert_close(Normalize(mean, std)(x), expected, rtol=1e-5, atol=1e-5)


def test_pixels_outside_the_image_are_zero_after_normalisation():
    out = Normalize((0.5,), (0.5,))(images(2), torch.tensor([[32, 20], [10, 32]]))
    assert out[0, :, :, 20:].abs().max() == out[1, :, 10:].abs().max() == 0
    assert out[0, :, :, :20].abs().min() > 0


def test_preprocess_is_exact_in_double_precision():
    module = Normalize((0.485,), (0.229,)).double()
    x = images(1)
    expected = (x.double() / 255 - 0.485) / 0.229
    torch.testing.assert_close(module(x), expected, rtol=1e-13, atol=1e-13)


def test_numbers_that_are_no_bytes_are_refused():
    with pytest.raises(TypeError, match="images must be uint8"):
        create_model("classify", "lenet", num_classes=10)(torch.rand(1, 1, 32, 32))


@pytest.mark.parametrize("head", ["auto", "linear", "mlp", "conv", {"type": "mlp", "hidden": [8, 4], "dropout": 0.2}])
def test_every_head_gives_one_number_per_class(head):
    model = create_model("classify", "resnet20", num_classes=7, head=head)
    assert model(images(channels=3))["logits"].shape == (4, 7)


def test_auto_builds_what_the_paper_says():
    layers = create_model("classify", "alexnet", num_classes=1000).head.layers
    shapes = [tuple(m.weight.shape) for m in layers if isinstance(m, torch.nn.Linear)]
    assert shapes == [(4096, 9216), (4096, 4096), (1000, 4096)]
    assert [type(m).__name__ for m in layers][2:5] == ["Dropout", "Linear", "ReLU"]


def test_a_flattening_head_is_sized_by_the_arithmetic():
    model = create_model("classify", "lenet", num_classes=10, image_size=(40, 28))
    assert model.head.layers.hidden1.in_features == 16 * 7 * 4
    x = torch.zeros(2, 1, 40, 28, dtype=torch.uint8)
    assert model(x)["logits"].shape == (2, 10)


def test_a_flattening_head_refuses_another_image_size_in_words():
    model = create_model("classify", "lenet", num_classes=10)
    with pytest.raises(ValueError, match=r"flattens a 5x5 map, but images of 40x40 pixels give 7x7"):
        model(images(size=40))


def test_loss_is_torchs_cross_entropy_with_smoothing_and_weights():
    weights = [0.5, 1.0, 2.0]
    model = create_model("classify", "resnet20", num_classes=3,
                         head={"type": "auto", "label_smoothing": 0.1, "class_weights": weights})  # fmt: skip
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = F.cross_entropy(logits, labels, weight=torch.tensor(weights), label_smoothing=0.1)
    assert model.loss({"logits": logits}, {"label": labels})["loss"] == expected


def test_predictions_are_probabilities_with_the_most_likely_label():
    model = create_model("classify", "lenet", num_classes=3)
    predictions = model.predict({"logits": torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])})
    assert predictions["labels"].tolist() == [1, 0]
    torch.testing.assert_close(predictions["probabilities"].sum(1), torch.ones(2))
    torch.testing.assert_close(predictions["scores"], predictions["probabilities"].max(1).values)


def test_weights_of_a_whole_model_come_back_from_safetensors_and_checkpoints(tmp_path):
    from safetensors.torch import save_file

    model = create_model("classify", "lenet", num_classes=10)
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    torch.save({"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "m.ckpt")
    for name in ("m.safetensors", "m.ckpt"):
        other = create_model("classify", "lenet", num_classes=10, weights=tmp_path / name)
        assert torch.equal(other.head.layers.output.weight, model.head.layers.output.weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "liner"}, "no head is called 'liner'. Did you mean 'linear'?"),
        ({"head": {"type": "mlp", "hiden": [3]}}, "unknown key 'hiden'. Did you mean 'hidden'?"),
        ({"head": {"type": "auto", "class_weights": [1.0]}}, "expected one number for each of the 10 classes, found 1"),
        ({"head": {"type": "auto", "label_smoothing": 1.0}}, "label_smoothing: expected a number less than 1"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"mean": (0.1, 0.2, 0.3)}, "one number for each of the 1 channels"),
        ({"image_size": 8}, "The smallest image that works is 16x16"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(arguments, message):
    with pytest.raises(UserError) as error:
        create_model("classify", "lenet", **{"num_classes": 10, **arguments})
    assert message in str(error.value)


def test_an_unknown_task_is_refused():
    with pytest.raises(
        UserError, match=r"no task is called 'detecct'\. Did you mean 'detect'\? Known: classify, detect"
    ):
        create_model("detecct", "lenet", num_classes=10)


def test_a_head_for_another_task_is_refused():
    with pytest.raises(
        UserError, match=r"head 'linear' serves task 'classify', not 'detect'\. Heads for 'detect': .*fcos"
    ):
        create_model("detect", "lenet", num_classes=10, head="linear")


def test_channels_last_gives_the_same_logits():
    torch.manual_seed(0)
    model = create_model("classify", "resnet20", num_classes=10).eval()
    with torch.no_grad():
        before = model(images(channels=3))["logits"]
        after = model.use_channels_last()(images(channels=3))["logits"]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
