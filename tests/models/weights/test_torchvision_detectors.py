"""Weights of whole detectors of torchvision: 91 rows for 80 classes, frozen norms, old names; files are stand-ins."""

import logging
import re

import pytest
import torch
from torchvision.models import get_model_weights

from tests.helpers.torchvision_detectors import HEADS, images, of_torchvision
from visionkit import UserError, create_model
from visionkit.models import load_model_weights

MODELS = {
    "fcos": "fcos_resnet50_fpn",
    "retinanet": "retinanet_resnet50_fpn",
    "retinanet_v2": "retinanet_resnet50_fpn_v2",
}


def old_layout(state):
    """As files from before torchvision put convolutions and norms in one block have it."""
    state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    return {
        re.sub(r"(_head\.conv)\.(\d)\.0\.", lambda m: f"{m[1]}.{2 * int(m[2])}.",
               re.sub(r"(_blocks\.\d)\.0\.", r"\1.", name)): value
        for name, value in state.items()
    }  # fmt: skip


@pytest.fixture
def coco(published):
    """Write the stand-in of a published file, and give the network it is of."""

    def write(name):
        net = of_torchvision(name, num_classes=91)
        state = old_layout(net.state_dict()) if name == "retinanet" else net.state_dict()
        torch.save(state, published.folder / get_model_weights(MODELS[name]).DEFAULT.url.rpartition("/")[2])
        return net

    return write


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_the_weights_trained_on_coco_give_torchvisions_logits_of_the_80_classes(name, coco):
    net = coco(name)
    if name == "retinanet":  # whose norms add nothing to the variance
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 0.0
    model = create_model("detect", "resnet50", num_classes=80, head=HEADS[name], weights="coco").eval()
    seen = {}
    net.head.register_forward_hook(lambda module, inputs, outputs: seen.update(outputs))
    alone, batch, sizes = images()
    with torch.no_grad():
        net([image / 255 for image in alone])
        outputs = model(batch, sizes)
    used = [
        i
        for i, category in enumerate(get_model_weights(MODELS[name]).DEFAULT.meta["categories"])
        if category not in ("__background__", "N/A")
    ]
    assert len(used) == 80
    torch.testing.assert_close(outputs["logits"], seen["cls_logits"][..., used], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.normalize.shift.flatten(), torch.tensor([-0.485 / 0.229, -0.456 / 0.224,
                                                                               -0.406 / 0.225]))  # fmt: skip


@pytest.mark.parametrize("name", ["fcos", "retinanet"])
def test_for_other_classes_the_class_layer_starts_afresh_and_a_note_says_so(name, coco, caplog):
    net = coco(name)
    with caplog.at_level(logging.WARNING, logger="visionkit"):
        model = create_model("detect", "resnet50", num_classes=3, head=HEADS[name], weights="coco")
    assert "'coco' tells 80 classes apart, and here are 3: the output layer (head.logits) is left out" in caplog.text
    assert torch.equal(model.neck.lateral["stride8"].conv.weight, net.backbone.fpn.inner_blocks[0][0].weight)
    assert model.head.logits.bias.unique().numel() == 1


def test_weights_of_ours_with_other_classes_fit_but_for_the_class_layer(tmp_path):
    head = {"type": "retinanet", "neck": {"out_channels": 8}, "num_convs": 1}
    source = create_model("detect", "resnet20", num_classes=5, head=head)
    torch.save(source.state_dict(), tmp_path / "detector.pth")
    model = create_model("detect", "resnet20", num_classes=2, head=head)
    start = load_model_weights(model, tmp_path / "detector.pth")
    assert "tells 5 classes apart, and here are 2" in start.notes[0]
    assert torch.equal(model.head.deltas.weight, source.head.deltas.weight)
    same = create_model("detect", "resnet20", num_classes=5, head=head, weights=tmp_path / "detector.pth")
    assert torch.equal(same.head.logits.weight, source.head.logits.weight)


def test_a_detectors_backbone_starts_another_model(tmp_path):
    source = create_model("detect", "resnet20", num_classes=5, head={"type": "fcos", "neck": {"out_channels": 8}})
    torch.save(source.state_dict(), tmp_path / "detector.pth")
    content = {**_content("resnet20"), "weights": str(tmp_path / "detector.pth")}
    model = create_model("classify", content, num_classes=3)
    theirs = source.backbone.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.backbone.state_dict().items())


def test_an_imagenet_backbone_starts_a_detector(published):
    net = published.network("resnet18")
    content = {**_content("resnet18"), "weights": "imagenet"}
    model = create_model("detect", content, num_classes=3, head={"type": "fcos", "neck": {"out_channels": 8}})
    assert torch.equal(model.backbone.stem.conv.conv.weight, net.conv1.weight)


@pytest.mark.parametrize("head", ["fcos", "retinanet", "faster_rcnn"])
def test_the_experiments_on_coco_are_detectors_whose_weights_are_published(head):
    from visionkit.backbones import read_backbone
    from visionkit.cli.compose import compose
    from visionkit.heads import parse_head

    plain = compose({"experiment": f"coco_{head}"}, config_dirs=())
    spec = parse_head(plain["head"], task=plain["task"]["name"])
    assert spec.torchvision_model(read_backbone(plain["backbone"])) == f"{head.replace('_', '')}_resnet50_fpn"


def _content(name):
    from visionkit.backbones import load_backbone_file
    from visionkit.backbones.files import backbone_file

    return load_backbone_file(backbone_file(name))


@pytest.mark.parametrize(
    ("backbone", "arguments", "message"),
    [
        ("resnet18", {"weights": "coco"}, "torchvision has published no weights of this head on resnet18"),
        ("resnet50", {"weights": "coco"}, "Try: head=fcos, retinanet or faster_rcnn"),
        ("resnet50", {"head": {"type": "fcos", "num_convs": 2}, "weights": "coco"}, "or experiment=coco_fcos"),
        ("resnet50", {"weights": "imagenet"}, "For the backbone alone: backbone.weights=imagenet"),
        ("resnet50", {"weights": "cocoo"}, "file 'cocoo' does not exist"),
    ],
)
def test_weights_that_are_not_there_are_refused_in_words(backbone, arguments, message):
    with pytest.raises(UserError) as error:
        create_model("detect", backbone, num_classes=80, **arguments)
    assert message in str(error.value)


def test_weights_of_a_detector_do_not_start_a_classifier():
    with pytest.raises(UserError, match="which are weights for detection and segmentation, but the task is 'classify'"):
        create_model("classify", "resnet50", num_classes=80, weights="coco")


def test_a_published_file_that_cannot_be_fetched_says_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(UserError, match=r"'coco' of fcos_resnet50_fpn cannot be downloaded: no network\. Download"):
        create_model("detect", "resnet50", num_classes=80, head="fcos", weights="coco")
