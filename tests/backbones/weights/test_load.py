"""Where weights come from, and how they reach a backbone: published files, foreign names, other channels."""

import json
import logging
import urllib.error

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights

from tests.helpers.backbones import key_of_file, torchvision_counterparts
from visionkit.backbones import create_backbone, read_backbone
from visionkit.backbones.weights.layout import classifier_layout
from visionkit.backbones.weights.load import load_backbone_weights, load_strictly, read_state_dict
from visionkit.backbones.weights.sources import LoadedWeights, check_weights, find_weights, published_mean_std
from visionkit.errors import UserError
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

COUNTERPARTS = {name: key_of_file(name, "torchvision") for name in torchvision_counterparts()}
EXACT = {"rtol": 1e-9, "atol": 1e-9}  # float64; the two networks add in the same order up to the layout of branches


@pytest.fixture
def resnet18(published):
    """Torchvision's network, its weights lying where published ones do."""
    return published.network("resnet18")


def resnet_maps(net, x):
    """What torchvision's ResNet computes on the way, from its own modules."""
    x = net.relu(net.bn1(net.conv1(x)))
    maps = {"stem": x}
    x = net.maxpool(x)
    for name in ("layer1", "layer2", "layer3", "layer4"):
        x = maps[name] = getattr(net, name)(x)
    return maps


def pixels(channels=3, size=64):
    return torch.randn(2, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_published_weights_give_torchvisions_maps(resnet18):
    backbone = create_backbone("resnet18", weights="imagenet").double().eval()
    with torch.no_grad():
        found, expected = backbone(pixels()), resnet_maps(resnet18.double(), pixels())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **EXACT)


def test_a_backbone_without_its_last_stages_takes_the_rest(resnet18):
    backbone = create_backbone("resnet18", out_features=["layer1", "layer2"], weights="imagenet")
    expected = resnet18.layer2[1].conv2.weight
    assert torch.equal(backbone.layer2.blocks[1].residual.body.conv2.conv.weight, expected)
    assert not hasattr(backbone, "layer3")


def test_published_weights_do_not_care_for_the_head_that_the_file_describes(resnet18):
    backbone = create_backbone("resnet18", weights="imagenet", classifier={"pool": "avg", "hidden": [8]})
    assert torch.equal(backbone.stem.conv.conv.weight, resnet18.conv1.weight)


def test_each_word_means_its_own_file(published):
    for seed, entry in ((1, "IMAGENET1K_V1"), (2, "IMAGENET1K_V2")):
        net = get_model("resnet50", weights=None)
        nn.init.constant_(net.conv1.weight, float(seed))
        torch.save(net.state_dict(), published.file("resnet50", entry))
    first = [create_backbone("resnet50", weights=word).stem.conv.conv.weight.unique().tolist()
             for word in ("imagenet_v1", "imagenet_v2", "imagenet")]  # fmt: skip
    assert first == [[1.0], [2.0], [2.0]]


def test_a_version_that_was_never_published_names_those_that_were(published):
    with pytest.raises(UserError, match=r"no 'imagenet_v2' of resnet18. Published: imagenet, imagenet_v1\."):
        create_backbone("resnet18", weights="imagenet_v2")


def test_an_unknown_counterpart_is_named(published):
    with pytest.raises(UserError, match="torchvision has no model 'resnet17'"):
        create_backbone("resnet18", weights="imagenet", torchvision={"model": "resnet17", "family": "resnet"})


@pytest.mark.parametrize(
    ("channels", "filters"),
    [
        (1, lambda w: w.sum(1, keepdim=True)),
        (2, lambda w: w[:, [0, 1]] * 1.5),
        (5, lambda w: w[:, [0, 1, 2, 0, 1]] * 0.6),
    ],
)
def test_other_channels_sum_or_repeat_the_first_filters_and_say_so(resnet18, caplog, channels, filters):
    with caplog.at_level(logging.WARNING, "visionkit"):
        backbone = create_backbone("resnet18", in_channels=channels, weights="imagenet")
    torch.testing.assert_close(backbone.stem.conv.conv.weight.data, filters(resnet18.conv1.weight.data))
    assert torch.equal(backbone.layer1.blocks[0].residual.body.conv1.conv.weight, resnet18.layer1[0].conv1.weight)
    (record,) = caplog.records
    how = "summed" if channels == 1 else f"repeated in turn and multiplied by 3/{channels}"
    assert record.message == (
        f"weights: 'imagenet' takes images of 3 channel(s), and these have {channels}: "
        f"the first filters (stem.conv.conv.weight) are {how}"
    )


def test_a_grey_image_gives_the_maps_of_the_same_image_in_colour(resnet18):
    backbone = create_backbone("resnet18", in_channels=1, weights="imagenet").double().eval()
    with torch.no_grad():
        expected = resnet_maps(resnet18.double(), pixels(1).expand(-1, 3, -1, -1))["layer4"]
        torch.testing.assert_close(backbone.forward_features(pixels(1)), expected, rtol=1e-5, atol=1e-5)


def test_nothing_is_said_where_all_fits(resnet18, caplog):
    create_backbone("resnet18", weights="imagenet")
    assert caplog.records == []


def test_filters_in_our_own_layout_are_made_to_fit_too(tmp_path):
    source = create_backbone("lenet", in_channels=3)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    backbone = create_backbone("lenet", weights=str(tmp_path / "w.pth"))
    torch.testing.assert_close(backbone.c1.conv.conv.weight, source.c1.conv.conv.weight.sum(1, keepdim=True))


@pytest.mark.parametrize("nested", ["", "state_dict", "model"])
def test_a_local_file_in_torchvisions_layout_is_recognised(published, tmp_path, nested):
    state = published.network("resnet18").state_dict()
    torch.save({nested: state} if nested else state, tmp_path / "theirs.pth")
    backbone = create_backbone("resnet18", weights=str(tmp_path / "theirs.pth"))
    assert torch.equal(backbone.layer4.blocks[1].residual.body.conv2.conv.weight, state["layer4.1.conv2.weight"])


def test_a_safetensors_file_of_a_network_without_its_head_is_enough(tmp_path):
    from safetensors.torch import save_file

    state = {k: v for k, v in get_model("resnet18", weights=None).state_dict().items() if not k.startswith("fc.")}
    save_file(state, tmp_path / "theirs.safetensors")
    backbone = create_backbone("resnet18", weights=str(tmp_path / "theirs.safetensors"))
    assert torch.equal(backbone.stem.conv.norm.weight, state["bn1.weight"])


def test_old_densenet_files_have_a_dot_before_the_number(published):
    state = published.network("densenet121").state_dict()
    old = {}
    for name, value in state.items():
        for layer in ("norm1", "conv1", "norm2", "conv2"):
            name = name.replace(f".{layer}.", f".{layer[:-1]}.{layer[-1]}.") if "denselayer" in name else name
        old[name] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert classifier_layout(read_backbone("densenet121")).update(old, state, file=None).keys() == state.keys()
    torch.save(old, published.file("densenet121"))
    backbone = create_backbone("densenet121", weights="imagenet")
    expected = state["features.denseblock3.denselayer7.conv2.weight"]
    assert torch.equal(backbone.dense3.block.layer7.new.conv2.conv.weight, expected)


def test_old_files_without_batch_counts_start_at_zero(published):
    state = published.network("resnet18").state_dict()
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, published.file("resnet18"))
    backbone = create_backbone("resnet18", weights="imagenet")
    assert backbone.layer2.blocks[0].residual.shortcut.norm.num_batches_tracked == 0
    assert torch.equal(backbone.stem.conv.norm.running_mean, state["bn1.running_mean"])


def test_auxiliary_classifiers_are_left_out():
    drop_unused = classifier_layout(read_backbone("googlenet")).drop_unused
    names = get_model("googlenet", weights=None, aux_logits=True, init_weights=False).state_dict().keys()
    assert "aux1.fc1.weight" in names
    kept = drop_unused(dict.fromkeys(names, torch.zeros(())))
    assert kept.keys() == get_model("googlenet", weights=None, aux_logits=False, init_weights=False).state_dict().keys()
    names = get_model("inception_v3", weights=None, aux_logits=True, init_weights=False).state_dict().keys()
    kept = drop_unused(dict.fromkeys(names, torch.zeros(())))
    assert kept.keys() == names - {name for name in names if "Aux" in name}
    assert drop_unused({"auxiliary.weight": torch.zeros(1)}) != {}


def test_a_file_of_another_network_says_which_keys_and_shapes(published):
    torch.save(get_model("resnet34", weights=None).state_dict(), published.file("resnet18"))
    with pytest.raises(
        UserError, match=r"'imagenet' does not fit this network. left over \(96\): layer1.2.conv1.weight"
    ):
        create_backbone("resnet18", weights="imagenet")


def test_an_altered_layer_says_its_two_shapes(resnet18):
    shapes = r"other shapes \(1\): stem.conv.conv.weight: \(64, 3, 7, 7\) in the file, \(64, 3, 3, 3\) in the network"
    with pytest.raises(UserError, match=shapes):
        create_backbone("resnet18", weights="imagenet", stem="small")


def test_another_kernel_is_not_excused_by_other_channels(resnet18):
    with pytest.raises(UserError, match=r"\(64, 3, 7, 7\) in the file, \(64, 1, 3, 3\) in the network"):
        create_backbone("resnet18", in_channels=1, weights="imagenet", stem="small")


def test_an_altered_backbone_that_has_tensors_of_its_own_is_found_out_before_a_download(published):
    with pytest.raises(UserError, match=r"no counterpart of 'backbone\.layer1\.pool\.conv\.weight'"):
        create_backbone("resnet18", weights="imagenet", **{"stages.layer1.pool": {"type": "conv", "out_channels": 64,
                                                                                  "kernel_size": 3}})  # fmt: skip


def test_tensors_of_nobody_are_left_over(resnet18, published):
    torch.save({**resnet18.state_dict(), "junk.weight": torch.zeros(1)}, published.file("resnet18"))
    with pytest.raises(UserError, match=r"left over \(1\): junk.weight"):
        create_backbone("resnet18", weights="imagenet")


def test_a_published_file_with_code_in_it_is_refused(published):
    torch.save({"conv1.weight": print}, published.file("resnet18"))
    with pytest.raises(UserError, match="holds more than tensors"):
        create_backbone("resnet18", weights="imagenet")


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("Name or service not known"), RuntimeError("invalid hash value")]
)
def test_without_a_network_the_message_says_what_to_fetch_and_where_to_put_it(published, monkeypatch, error):
    asked = []

    def fail(url, file, hash_prefix=None):
        asked.append((url, file, hash_prefix))
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(UserError) as raised:
        create_backbone("resnet18", weights="imagenet")
    url, file = "https://download.pytorch.org/models/resnet18-f37072fd.pth", published.folder / "resnet18-f37072fd.pth"
    assert f"Download {url} where there is a network and save it as {file}" in str(raised.value)
    assert "backbone.weights=resnet18-f37072fd.pth" in str(raised.value)
    assert f"cannot be downloaded: {error.args[0]}. Download" in str(raised.value)
    assert asked == [(url, str(file), "f37072fd")]


def test_a_downloaded_file_is_used(published, monkeypatch):
    net = published.network("resnet18")
    published.file("resnet18").unlink()
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, file, **k: torch.save(net.state_dict(), file))
    backbone = create_backbone("resnet18", weights="imagenet")
    assert torch.equal(backbone.stem.conv.conv.weight, net.conv1.weight)


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_mean_and_std_are_those_that_torchvisions_network_normalises_with(name):
    """The transforms' numbers, or what ``transform_input`` makes of them."""
    model = COUNTERPARTS[name]["model"]
    transforms = get_model_weights(model).DEFAULT.transforms()
    expected = tuple(transforms.mean), tuple(transforms.std)
    if model in ("googlenet", "inception_v3"):
        net = getattr(torchvision.models, model)(
            weights=None, transform_input=True, aux_logits=True, init_weights=False
        )
        x = torch.tensor([[0.2, 0.4, 0.6], [1.0, 1.0, 1.0]], dtype=torch.float64)[:, :, None, None]
        mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in expected)
        own_mean, own_std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in published_mean_std(model))
        torch.testing.assert_close((x - own_mean) / own_std, net._transform_input((x - mean) / std), **EXACT)
    else:
        assert published_mean_std(model) == expected


def test_mean_and_std_come_with_the_weights(resnet18, tmp_path):
    start = load_backbone_weights(create_backbone("resnet18"), "imagenet")
    assert start == LoadedWeights((IMAGENET_MEAN, IMAGENET_STD))
    one = load_backbone_weights(create_backbone("resnet18", in_channels=1), "imagenet")
    assert one.mean_std == ((pytest.approx(sum(IMAGENET_MEAN) / 3),), (pytest.approx(sum(IMAGENET_STD) / 3),))
    torch.save(resnet18.state_dict(), tmp_path / "theirs.pth")
    assert load_backbone_weights(create_backbone("resnet18"), tmp_path / "theirs.pth").mean_std == start.mean_std
    torch.save(create_backbone("resnet18").state_dict(), tmp_path / "ours.pth")
    assert load_backbone_weights(create_backbone("resnet18"), tmp_path / "ours.pth").mean_std is None


def a_run(folder, backbone="lenet", **facts):
    """What weights of a run are read from."""
    from safetensors.torch import save_file

    from visionkit.models import create_model

    folder.mkdir(parents=True)
    model = create_model("classify", backbone, num_classes=10)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "data.json").write_text(json.dumps({"mean": [0.25], "std": [0.75], **facts}))
    return model


def test_a_run_gives_its_backbone_and_its_mean_and_std(tmp_path):
    model = a_run(tmp_path / "run")
    backbone = create_backbone("lenet")
    assert load_backbone_weights(backbone, f"run:{tmp_path / 'run'}") == LoadedWeights(((0.25,), (0.75,)))
    assert torch.equal(backbone.c3.conv.conv.weight, model.backbone.c3.conv.conv.weight)
    three = load_backbone_weights(create_backbone("lenet", in_channels=3), f"run:{tmp_path / 'run'}")
    assert three.mean_std == ((0.25,) * 3, (0.75,) * 3)


def test_a_run_that_was_stopped_gives_its_best_checkpoint(tmp_path):
    model = a_run(tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").unlink()
    (tmp_path / "run" / "checkpoints").mkdir()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "run" / "checkpoints" / "best.ckpt")
    backbone = create_backbone("lenet", weights=f"run:{tmp_path / 'run'}")
    assert torch.equal(backbone.c1.conv.conv.weight, model.backbone.c1.conv.conv.weight)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("{", "is no JSON document"),
        ("[]", "holds no mapping"),
        ('{"mean": [0.5]}', "lacks std;"),
        ('{"mean": 0.5, "std": 1}', "mean is 0.5;"),
        ('{"mean": [], "std": []}', "mean is ..;"),
        ('{"mean": ["x"], "std": [1]}', 'mean is ."x"'),
    ],
)
def test_a_run_without_its_mean_and_std_names_the_file(tmp_path, facts, words):
    a_run(tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text(facts)
    with pytest.raises(UserError, match=rf"data.json'.*{words}.*weights=.*model.safetensors"):
        find_weights(f"run:{tmp_path / 'run'}", read_backbone("lenet"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "imagnet",
            "weights: file 'imagnet' does not exist. Did you mean 'imagenet'? Expected imagenet, a .safetensors",
        ),
        ("imagenet", "there are no published weights of lenet: it has no counterpart in torchvision"),
        ("run:nowhere", "'nowhere' is no run with weights: there is no such folder. Expected a folder that train"),
        ("run:.", "it has neither model.safetensors nor checkpoints/best.ckpt"),
    ],
)
def test_a_source_that_is_none_says_what_is_expected(in_empty_folder, source, message):
    with pytest.raises(UserError) as raised:
        find_weights(source, read_backbone("lenet"))
    assert message in str(raised.value)


def test_weights_for_the_model_and_for_the_backbone_are_one_too_many():
    spec = read_backbone("resnet18", overrides={"weights": "imagenet"})
    with pytest.raises(UserError, match=r"weights=imagenet_v1 starts the whole model, and backbone.weights=imagenet"):
        check_weights(spec, "imagenet_v1")


def test_a_key_of_the_backbone_is_called_by_its_name():
    with pytest.raises(UserError, match=r"^backbone\.weights: file 'nowhere.pth' does not exist"):
        check_weights(read_backbone("lenet", overrides={"weights": "nowhere.pth"}), None)


def test_loading_strictly_names_missing_keys():
    with pytest.raises(UserError, match=r"'f' does not fit this network. missing \(1\): bias."):
        load_strictly(nn.Linear(2, 2), {"weight": torch.zeros(2, 2)}, source="f")


def test_an_infinite_buffer_of_the_network_hides_no_other_tensor_that_is_not_finite():
    module = nn.Linear(2, 2)
    module.register_buffer("limits", torch.tensor([-torch.inf]))
    state = {"limits": torch.tensor([-torch.inf]), "weight": torch.ones(2, 2), "bias": torch.ones(2)}
    load_strictly(module, state, source="f")
    assert module.bias.tolist() == [1, 1]
    for name in ("weight", "bias"):
        with pytest.raises(UserError, match=rf"'f' holds no numbers that a network can begin with: '{name}' is NaN"):
            load_strictly(module, state | {name: torch.full_like(state[name], torch.nan)}, source="f")


def test_a_file_that_holds_no_tensors_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        read_state_dict(tmp_path / "w.pth")


def test_timm_loads_its_own_weights_and_brings_their_mean_and_std(monkeypatch):
    timm = pytest.importorskip("timm")
    from visionkit.backbones.timm.backbone import TimmBackbone

    loaded = []
    monkeypatch.setattr(TimmBackbone, "load_published", lambda self: loaded.append(self))
    config = timm.get_pretrained_cfg("convnext_atto")
    backbone = create_backbone("timm", model="convnext_atto", weights="imagenet")
    assert loaded == [backbone]
    assert load_backbone_weights(backbone, "imagenet") == LoadedWeights((tuple(config.mean), tuple(config.std)))
    grey = create_backbone("timm", model="convnext_atto", in_channels=1, weights="imagenet")
    start = load_backbone_weights(grey, "imagenet")
    assert start.mean_std == ((pytest.approx(sum(config.mean) / 3),), (pytest.approx(sum(config.std) / 3),))
    assert "takes images of 3 channels, and these have 1" in start.notes[0]


def test_what_timm_does_not_publish_points_to_what_it_does():
    pytest.importorskip("timm")
    with pytest.raises(UserError, match=r"no published weights of timm-convnext_atto.*backbone.weights=imagenet\."):
        create_backbone("timm", model="convnext_atto", weights="imagenet_v2")


def test_a_file_whose_names_are_no_words_is_refused(tmp_path):
    torch.save({0: torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        create_backbone("lenet", weights=str(tmp_path / "w.pth"))


def test_prefixes_of_several_processes_and_of_lightning_are_taken_off(tmp_path):
    state = create_backbone("lenet").state_dict()
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "ddp.pth")
    inside = {f"model.backbone.{name}": value for name, value in state.items()}
    torch.save({"state_dict": {**inside, "criterion.weight": torch.zeros(3)}}, tmp_path / "lightning.ckpt")
    for name in ("ddp.pth", "lightning.ckpt"):
        loaded = create_backbone("lenet", weights=str(tmp_path / name)).state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("facts", "found"),
    [('{"mean": [0.5], "std": [0]}', r"std is \[0\]"), ('{"mean": [0.5, 0.5], "std": [1]}', r"std is \[1\]")],
)
def test_a_run_whose_mean_and_std_cannot_be_is_refused(tmp_path, facts, found):
    a_run(tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text(facts)
    with pytest.raises(UserError, match=rf"data.json': {found}"):
        create_backbone("lenet", weights=f"run:{tmp_path / 'run'}")
