"""Whole models outside Lightning: what fits, weights, memory formats."""

import pytest
import torch

from visionkit import UserError, create_model


def images(n=4, channels=1, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def test_numbers_that_are_neither_bytes_nor_float32_are_refused():
    with pytest.raises(TypeError, match="images must be uint8 or float32"):
        create_model("classify", "lenet", num_classes=10)(torch.rand(1, 1, 32, 32).double())


def test_float32_images_of_0_to_255_are_normalised_as_bytes_are():
    model = create_model("classify", "lenet", num_classes=10).eval()
    assert torch.equal(model(images())["logits"], model(images().float())["logits"])


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
        (
            {"head": {"type": "auto", "label_smoothing": 1.0}},
            "label_smoothing: expected a number of at least 0 and less than 1",
        ),
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


def test_a_model_is_made_for_height_and_width_and_what_is_no_size_says_what_to_type():
    model = create_model("classify", "lenet", num_classes=10, image_size=(48, 64))
    assert model(torch.zeros(1, 1, 48, 64, dtype=torch.uint8))["logits"].shape == (1, 10)
    with pytest.raises(UserError, match=r"image_size: .* found \[32\]. Try 32 or \[32,32\]"):
        create_model("classify", "lenet", num_classes=10, image_size=(32,))
