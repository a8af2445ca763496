"""Faster R-CNN from torchvision's weights trained on COCO; files stand in for the published ones."""

import re

import pytest
import torch
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, fasterrcnn_resnet50_fpn

from visionkit import UserError, create_model
from visionkit.models import convert_state_dict

PUBLISHED = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
USED = [i for i, name in enumerate(PUBLISHED.meta["categories"]) if name != "N/A"]
PREDICTOR = "roi_heads.box_predictor"


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91).state_dict()


@pytest.fixture(scope="module")
def stand_in(theirs, tmp_path_factory):
    """Torch's folder with a file of the published name, whose layers have the names of the year it was published."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "checkpoints").mkdir()
    old = {re.sub(r"(_blocks\.\d|rpn\.head\.conv)(\.0)+", r"\1", name): value for name, value in theirs.items()}
    assert {"backbone.fpn.inner_blocks.0.weight", "rpn.head.conv.weight"} <= old.keys()
    torch.save(old, folder / "checkpoints" / PUBLISHED.url.rpartition("/")[2])
    return folder


def test_of_91_rows_those_of_the_background_and_80_classes_are_taken(theirs, stand_in, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(stand_in))
    ours = create_model("detect", "resnet50", num_classes=80, head="faster_rcnn", weights="coco").state_dict()
    assert len(USED) == 81
    assert torch.equal(ours[f"head.{PREDICTOR}.classes.weight"], theirs[f"{PREDICTOR}.cls_score.weight"][USED])
    boxes = theirs[f"{PREDICTOR}.bbox_pred.weight"].view(91, 4, 1024)
    assert torch.equal(ours[f"head.{PREDICTOR}.boxes.weight"].view(81, 4, 1024), boxes[USED])
    assert torch.equal(ours["head.rpn.head.tower.conv.weight"], theirs["rpn.head.conv.0.0.weight"])
    assert torch.equal(ours["neck.output.stride4.conv.weight"], theirs["backbone.fpn.layer_blocks.0.0.weight"])


def test_for_other_classes_the_last_layers_start_afresh_and_a_note_says_so(stand_in, monkeypatch, caplog):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(stand_in))
    with caplog.at_level("WARNING", logger="visionkit"):
        model = create_model("detect", "resnet50", num_classes=3, head="faster_rcnn", weights="coco")
    assert model.head.roi_heads.box_predictor.classes.out_features == 4
    assert "'coco' tells 80 classes apart, and here are 3" in caplog.text


def test_names_come_back_as_they_went(theirs):
    ours = convert_state_dict(theirs, "resnet50", task="detect", head="faster_rcnn")
    back = convert_state_dict(
        ours, "resnet50", task="detect", head="faster_rcnn", source="visionkit", target="torchvision"
    )
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], value) for name, value in theirs.items())


def test_another_size_has_no_published_weights():
    head = {"type": "faster_rcnn", "hidden": [512]}
    with pytest.raises(UserError, match=r"no weights of this head on resnet50.*experiment=coco_fcos"):
        create_model("detect", "resnet50", num_classes=80, head=head, weights="coco")


def test_a_norm_that_torchvision_has_not_has_no_name_there(theirs):
    head = {"type": "faster_rcnn", "norm": "group"}
    with pytest.raises(UserError, match=r"torchvision has no counterpart of 'head\.rpn\.head\.tower\.norm"):
        convert_state_dict(theirs, "resnet50", task="detect", head=head)
