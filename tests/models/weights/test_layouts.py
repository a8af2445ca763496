"""One row per task, and one path for all: names, files, channels and classes of tiny models in torchvision's layout."""

from dataclasses import replace

import pytest
import torch

from visionkit import UserError, create_model
from visionkit.backbones import read_backbone
from visionkit.heads import read_head
from visionkit.models import convert_state_dict, load_model_weights
from visionkit.models.weights.layouts import LAYOUTS, layout_of
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD
from visionkit.tasks.info import TASKS

BACKBONE = {
    "name": "tiny",
    "torchvision": {"model": "resnet18", "family": "resnet"},
    "in_channels": 3,
    "image_size": 32,
    "layer_defaults": {"norm": "batch", "activation": "relu"},
    "stages": {
        "stem": {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 3, "padding": 1}},
        "layer1": {"blocks": {"type": "basic", "out_channels": 4, "stride": 2, "repeat": 1}},
        "layer2": {"blocks": {"type": "basic", "out_channels": 8, "stride": 2, "repeat": 1}},
    },
    "classifier": {"pool": "avg", "hidden": []},
}
SMALL = {"neck": {"out_channels": 8, "num_levels": 2}}
HEADS = {
    "classify": {"type": "linear"},
    "multilabel": {"type": "multilabel_linear"},
    "detect": {"type": "fcos", **SMALL, "num_convs": 1, "norm": "batch"},
    "segment": {"type": "fcn", "auxiliary": {"weight": 0.4}},
    "instance": {"type": "mask_rcnn", **SMALL, "hidden": [8, 8], "mask_convs": 1, "mask_channels": 8},
}
CLASS_LAYERS = {
    "classify": "head.layers.output",
    "multilabel": "head.layers.output",
    "detect": "head.logits",
    "segment": "head.logits, head.auxiliary",
    "instance": "head.roi_heads.box_predictor.classes, head.roi_heads.box_predictor.boxes, head.masks.logits",
}
NAMES = {
    "classify": ["conv1.weight", "fc.weight"],
    "multilabel": ["conv1.weight", "fc.weight"],
    "detect": ["backbone.body.conv1.weight", "head.classification_head.cls_logits.weight"],
    "segment": ["backbone.conv1.weight", "classifier.4.weight", "aux_classifier.4.weight"],
    "instance": ["backbone.body.conv1.weight", "roi_heads.mask_predictor.mask_fcn_logits.weight"],
}

each_task = pytest.mark.parametrize("task", TASKS)


def model_of(task, *, num_classes=4, **options):
    return create_model(task, BACKBONE, num_classes=num_classes, head=HEADS[task], **options)


def to_torchvision(task, state):
    return convert_state_dict(state, BACKBONE, task=task, head=HEADS[task], source="visionkit", target="torchvision")


@pytest.fixture
def foreign(task, tmp_path):
    """A model, and the file of its weights in torchvision's layout."""
    model = model_of(task)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=torch.Generator().manual_seed(len(name))))
    torch.save(dict(to_torchvision(task, model.state_dict())), tmp_path / "theirs.pth")
    return model.state_dict(), tmp_path / "theirs.pth"


def test_each_task_has_a_row():
    assert LAYOUTS.keys() == TASKS.keys()


@each_task
def test_names_go_to_torchvision_and_back(task):
    state = model_of(task).state_dict()
    theirs = to_torchvision(task, state)
    assert theirs.keys() >= set(NAMES[task])
    back = convert_state_dict(theirs, BACKBONE, task=task, head=HEADS[task])
    assert list(back) == list(state)
    assert all(back[name] is state[name] for name in state)


@each_task
def test_a_file_in_torchvisions_layout_loads_with_its_mean_and_std(task, foreign):
    expected, file = foreign
    model = model_of(task)
    loaded = load_model_weights(model, file)
    assert loaded.mean_std == (IMAGENET_MEAN, IMAGENET_STD)
    assert loaded.notes == ()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


@each_task
def test_for_other_classes_the_class_layers_alone_start_afresh(task, foreign):
    expected, file = foreign
    model = model_of(task, num_classes=6)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    assert load_model_weights(model, file).notes == (
        f"weights: '{file}' tells 4 classes apart, and here are 6: the output layer ({CLASS_LAYERS[task]}) is left "
        "out and starts afresh",
    )
    layers = CLASS_LAYERS[task].split(", ")
    for name, value in model.state_dict().items():
        assert torch.equal(value, (fresh if name.rpartition(".")[0] in layers else expected)[name]), name


@each_task
def test_filters_are_made_to_fit_other_channels(task, foreign):
    expected, file = foreign
    model = model_of(task, in_channels=1)
    (note,) = load_model_weights(model, file).notes
    assert "the first filters (backbone.stem.conv.conv.weight) are summed" in note
    filters = expected["backbone.stem.conv.conv.weight"].sum(1, keepdim=True)
    assert torch.equal(model.backbone.stem.conv.conv.weight, filters)


@each_task
def test_a_tensor_more_or_less_is_refused(task, foreign):
    state = torch.load(foreign[1])
    state["junk.weight"] = state.pop(NAMES[task][0])
    torch.save(state, foreign[1])
    with pytest.raises(UserError, match=r"does not fit this network. missing \(1\): .*left over \(1\): junk\.weight"):
        load_model_weights(model_of(task), foreign[1])


@each_task
def test_a_backbone_alone_points_to_its_own_key(task, tmp_path):
    torch.save(model_of(task).backbone.state_dict(), tmp_path / "backbone.pth")
    with pytest.raises(UserError, match=r"There is no head in it; for the backbone alone: backbone\.weights="):
        load_model_weights(model_of(task), tmp_path / "backbone.pth")


@pytest.mark.parametrize("task", [task for task in TASKS if task not in ("classify", "multilabel")])
def test_weights_of_whole_classifiers_are_refused_by_other_models(task):
    with pytest.raises(UserError, match=rf"weights of whole classifiers, but the task is '{task}'"):
        load_model_weights(model_of(task), "imagenet")


def test_a_head_without_counterpart_takes_no_file_of_torchvisions(tmp_path):
    torch.save({"backbone.conv1.weight": torch.zeros(1)}, tmp_path / "theirs.pth")
    model = create_model("segment", BACKBONE, num_classes=4, head={"type": "fpn", "neck": {"out_channels": 8}})
    with pytest.raises(UserError, match=r"head fpn has no counterpart.*deeplabv3, fcn\..*backbone\.weights="):
        load_model_weights(model, tmp_path / "theirs.pth")


def test_another_neck_has_no_names_in_torchvision(monkeypatch):
    from visionkit.necks import NECKS, NeckSpec

    class MyNeckSpec(NeckSpec):
        stages = feature_info = trace = levels = arguments = None

    monkeypatch.setattr(NECKS, "_rows", dict(NECKS._rows))
    NECKS.register("mine")(MyNeckSpec)
    head = replace(read_head(HEADS["detect"], task="detect"), neck=MyNeckSpec(out_channels=8))
    layout = layout_of(read_backbone(BACKBONE), head)
    with pytest.raises(UserError, match=r"neck mine has no counterpart in torchvision.*Necks that have one: fpn\."):
        layout.names(["neck.lateral.weight"])
