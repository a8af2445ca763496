"""Whole models from published, foreign and our own weights, with the mean and std that come with them."""

import json
import logging

import pytest
import torch
from torchvision.models import get_model

from tests.helpers.bare_networks import meta_device
from visionkit.backbones import read_backbone
from visionkit.errors import UserError
from visionkit.models import convert_state_dict, create_model, load_model_weights
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD


@pytest.fixture
def resnet18(published):
    """Torchvision's network in double precision, its weights lying where published ones do."""
    return published.network("resnet18").double()


def images(channels=3, size=64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, channels, size, size), dtype=torch.uint8, generator=generator)


def normalised(x, mean, std):
    mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (mean, std))
    return (x.double() / 255 - mean) / std


def same_logits(model, theirs, x, normalised_x):
    """Within 1e-9 of their size: both run in double precision from weights of single precision."""
    with torch.no_grad():
        found, expected = model.double().eval()(x)["logits"], theirs(normalised_x)
    return torch.allclose(found, expected, rtol=1e-9, atol=1e-9 * expected.abs().max().item())


def numbers(model):
    """The mean and std that a model subtracts and divides by, from what it does to black and white pixels."""
    module = model.normalize.double()
    channels = module.scale.shape[0]
    black, white = (module(torch.full((1, channels, 1, 1), v, dtype=torch.uint8)).flatten() for v in (0, 255))
    std = 1 / (white - black)
    return (-black * std).tolist(), std.tolist()


def test_published_weights_give_torchvisions_logits(resnet18):
    model = create_model("classify", "resnet18", num_classes=1000, weights="imagenet")
    assert same_logits(model, resnet18, images(), normalised(images(), IMAGENET_MEAN, IMAGENET_STD))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_transform_their_input_normalise_as_they_were_trained_and_lose_their_auxiliary_heads(
    published, name
):
    theirs = published.network(name, aux_logits=True, transform_input=True, init_weights=False)
    assert any("aux" in key.lower() for key in theirs.state_dict())
    x = images(size=96)
    model = create_model("classify", name, num_classes=1000, weights="imagenet")
    assert same_logits(model, theirs.double(), x, normalised(x, IMAGENET_MEAN, IMAGENET_STD))
    assert numbers(model) == (pytest.approx([0.5] * 3), pytest.approx([0.5] * 3))


def test_grey_images_sum_the_first_filters_under_the_average_of_mean_and_std(resnet18, caplog):
    model = create_model("classify", "resnet18", num_classes=1000, in_channels=1, weights="imagenet")
    x = images(channels=1)
    mean, std = (sum(values) / 3 for values in (IMAGENET_MEAN, IMAGENET_STD))
    grey = normalised(x, [mean], [std]).expand(-1, 3, -1, -1)
    # Three filters are added in single precision when they are loaded, and in double precision by torchvision.
    with torch.no_grad():
        torch.testing.assert_close(model.double().eval()(x)["logits"], resnet18(grey), rtol=1e-5, atol=1e-5)
    assert "are summed" in caplog.text


def test_five_channels_repeat_the_first_filters(resnet18, caplog):
    model = create_model("classify", "resnet18", num_classes=1000, in_channels=5, weights="imagenet")
    filters = resnet18.conv1.weight.data
    resnet18.conv1.weight.data = torch.stack([filters[:, c % 3] * 3 / 5 for c in range(5)], dim=1)
    x = images(channels=5)
    mean, std = ([sum(values) / 3] * 5 for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = resnet18(normalised(x, mean, std))
        torch.testing.assert_close(model.double().eval()(x)["logits"], expected, rtol=1e-5, atol=1e-5)
    assert "repeated in turn and multiplied by 3/5" in caplog.text


def test_another_number_of_classes_keeps_its_own_output_layer_and_says_so(resnet18, caplog):
    torch.manual_seed(5)
    fresh = create_model("classify", "resnet18", num_classes=7)
    torch.manual_seed(5)
    with caplog.at_level(logging.WARNING, "visionkit"):
        model = create_model("classify", "resnet18", num_classes=7, weights="imagenet")
    assert torch.equal(model.head.layers.output.weight, fresh.head.layers.output.weight)
    resnet18.fc = model.head.layers.output.double()
    assert same_logits(model, resnet18, images(), normalised(images(), IMAGENET_MEAN, IMAGENET_STD))
    assert [record.message for record in caplog.records] == [
        "weights: 'imagenet' tells 1000 classes apart, and here are 7: the output layer (head.layers.output) is left "
        "out and starts afresh"
    ]


def test_hidden_layers_of_the_head_are_loaded_where_the_classes_differ(published):
    theirs = published.network("alexnet")
    model = create_model("classify", "alexnet", num_classes=7, weights="imagenet")
    assert torch.equal(model.head.layers.hidden2.weight, theirs.classifier[4].weight)
    assert model.head.layers.output.weight.shape == (7, 4096)


def test_another_hidden_layer_is_an_error(tmp_path):
    source = create_model("classify", "lenet", num_classes=10, head={"type": "mlp", "hidden": [8]})
    torch.save(source.state_dict(), tmp_path / "m.pth")
    with pytest.raises(UserError, match=r"head.layers.hidden1.weight: \(8, 16\) in the file, \(9, 16\) in the network"):
        create_model(
            "classify", "lenet", num_classes=5, head={"type": "mlp", "hidden": [9]}, weights=tmp_path / "m.pth"
        )


def test_a_file_of_our_own_for_other_classes_leaves_the_output_layer(tmp_path):
    source = create_model("classify", "lenet", num_classes=10)
    torch.save(source.state_dict(), tmp_path / "m.pth")
    model = create_model("classify", "lenet", num_classes=5)
    before = model.head.layers.output.weight.clone()
    start = load_model_weights(model, tmp_path / "m.pth")
    assert torch.equal(model.head.layers.output.weight, before)
    assert torch.equal(model.head.layers.hidden2.weight, source.head.layers.hidden2.weight)
    (note,) = start.notes
    assert "tells 10 classes apart, and here are 5" in note


def test_a_head_that_torchvision_has_not_points_to_the_backbone_alone(resnet18):
    with pytest.raises(UserError, match=r"no counterpart of 'head.layers.hidden1.weight'.*backbone.weights="):
        create_model("classify", "resnet18", num_classes=7, head="mlp", weights="imagenet")


def test_a_file_without_a_head_points_to_the_backbone_alone(tmp_path):
    torch.save(create_model("classify", "lenet", num_classes=10).backbone.state_dict(), tmp_path / "b.pth")
    with pytest.raises(UserError, match=r"missing \(6\): head.layers.*for the backbone alone: backbone.weights="):
        create_model("classify", "lenet", num_classes=10, weights=tmp_path / "b.pth")


def test_the_backbone_alone_takes_any_head_and_brings_its_mean_and_std(resnet18):
    spec = read_backbone("resnet18", overrides={"weights": "imagenet"})
    model = create_model("classify", spec, num_classes=7, head="mlp")
    assert torch.equal(model.backbone.layer3.blocks[0].residual.body.conv1.conv.weight,
                       resnet18.layer3[0].conv1.weight.float())  # fmt: skip
    assert numbers(model) == (pytest.approx(IMAGENET_MEAN), pytest.approx(IMAGENET_STD))


def test_mean_and_std_given_by_hand_win_over_those_of_the_weights(resnet18):
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    model = create_model("classify", "resnet18", num_classes=7, weights="imagenet", mean=mean, std=std)
    assert numbers(model) == (pytest.approx(mean), pytest.approx(std))
    model = create_model("classify", "resnet18", num_classes=7, weights="imagenet", mean=mean)
    assert numbers(model) == (pytest.approx(mean), pytest.approx(IMAGENET_STD))


def test_weights_that_come_without_mean_and_std_leave_the_default(tmp_path):
    torch.save(create_model("classify", "lenet", num_classes=10).state_dict(), tmp_path / "m.pth")
    model = create_model("classify", "lenet", num_classes=10, weights=tmp_path / "m.pth")
    assert numbers(model) == (pytest.approx([0.5]), pytest.approx([0.5]))


def test_a_run_brings_the_mean_and_std_it_was_trained_with(tmp_path):
    from safetensors.torch import save_file

    source = create_model("classify", "lenet", num_classes=10)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "data.json").write_text(json.dumps({"mean": [0.25], "std": [0.75]}))
    model = create_model("classify", "lenet", num_classes=10, weights=f"run:{tmp_path}")
    assert torch.equal(model.head.layers.output.weight, source.head.layers.output.weight)
    assert numbers(model) == (pytest.approx([0.25]), pytest.approx([0.75]))


def test_weights_for_the_model_and_for_its_backbone_are_one_too_many(tmp_path):
    spec = read_backbone("resnet18", overrides={"weights": "imagenet"})
    with pytest.raises(UserError, match="Give one of both"):
        create_model("classify", spec, num_classes=10, weights="imagenet")


def test_mean_of_another_number_of_channels_is_refused():
    with pytest.raises(UserError, match=r"mean needs one number for each of the 1 channels, found \(0.5, 0.5\)"):
        create_model("classify", "lenet", num_classes=10, mean=(0.5, 0.5))


def test_names_are_converted_without_auxiliary_classifiers():
    with meta_device():
        state = get_model("googlenet", weights=None, aux_logits=True, init_weights=False).state_dict()
        expected = create_model("classify", "googlenet", num_classes=1000).state_dict()
    assert convert_state_dict(state, "googlenet").keys() == expected.keys()


def test_a_layout_that_is_not_known_is_refused():
    with pytest.raises(UserError, match=r"source: no layout is called 'timm'\. Known: visionkit, torchvision"):
        convert_state_dict({}, "resnet18", source="timm")


def test_names_are_converted_without_touching_the_weights_that_the_backbone_names():
    from visionkit.backbones.files import backbone_file, load_backbone_file

    content = {**load_backbone_file(backbone_file("resnet18")), "weights": "nowhere.pth"}
    state = create_model("classify", "resnet18", num_classes=3).state_dict()
    assert len(convert_state_dict(state, content, source="visionkit", target="torchvision")) == len(state)


def test_a_layer_more_than_torchvisions_has_no_counterpart():
    from visionkit.backbones.files import backbone_file, load_backbone_file

    content = load_backbone_file(backbone_file("vgg11"))
    content["stages"]["block1"]["conv2"] = dict(content["stages"]["block1"]["conv1"])
    with pytest.raises(UserError, match=r"no counterpart of 'backbone.block1.conv2.conv.weight'"):
        convert_state_dict({}, content)
