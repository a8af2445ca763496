"""Mask R-CNN from torchvision's weights trained on COCO; files stand in for the published ones."""

import re

import pytest
import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

from visionkit import UserError, create_model
from visionkit.models import convert_state_dict

PUBLISHED = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
USED = [i for i, name in enumerate(PUBLISHED.meta["categories"]) if name != "N/A"]
PREDICTOR = "roi_heads.mask_predictor"


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91).state_dict()


@pytest.fixture(scope="module")
def stand_in(theirs, tmp_path_factory):
    """Torch's folder with a file of the published name, whose layers have the names of the year it was published."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "checkpoints").mkdir()
    old = {re.sub(r"(_blocks\.\d|rpn\.head\.conv)(\.0)+", r"\1", name): value for name, value in theirs.items()}
    old = {re.sub(r"mask_head\.(\d)\.0", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}", k): v for k, v in old.items()}
    assert {"roi_heads.mask_head.mask_fcn4.weight", "rpn.head.conv.weight"} <= old.keys()
    torch.save(old, folder / "checkpoints" / PUBLISHED.url.rpartition("/")[2])
    return folder


def test_of_91_rows_those_of_the_background_and_80_classes_are_taken(theirs, stand_in, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(stand_in))
    ours = create_model("instance", "resnet50", num_classes=80, head="mask_rcnn", weights="coco").state_dict()
    assert torch.equal(ours["head.masks.logits.weight"], theirs[f"{PREDICTOR}.mask_fcn_logits.weight"][USED])
    assert torch.equal(ours["head.masks.logits.bias"], theirs[f"{PREDICTOR}.mask_fcn_logits.bias"][USED])
    assert torch.equal(ours["head.masks.upsample.weight"], theirs[f"{PREDICTOR}.conv5_mask.weight"])
    assert torch.equal(ours["head.masks.conv3.conv.weight"], theirs["roi_heads.mask_head.2.0.weight"])
    assert torch.equal(ours["head.rpn.head.tower.conv.weight"], theirs["rpn.head.conv.0.0.weight"])


def test_for_other_classes_the_last_layers_start_afresh_and_a_note_says_so(stand_in, monkeypatch, caplog):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(stand_in))
    with caplog.at_level("WARNING", logger="visionkit"):
        model = create_model("instance", "resnet50", num_classes=3, head="mask_rcnn", weights="coco")
    assert model.head.masks.logits.out_channels == 4
    assert "'coco' tells 80 classes apart, and here are 3" in caplog.text
    assert "head.masks.logits" in caplog.text


def test_names_come_back_as_they_went(theirs):
    ours = convert_state_dict(theirs, "resnet50", task="instance", head="mask_rcnn")
    back = convert_state_dict(
        ours, "resnet50", task="instance", head="mask_rcnn", source="visionkit", target="torchvision"
    )
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], value) for name, value in theirs.items())


def test_another_size_has_no_published_weights():
    head = {"type": "mask_rcnn", "mask_channels": 64}
    with pytest.raises(UserError, match=r"no weights of this head on resnet50.*coco_mask_rcnn"):
        create_model("instance", "resnet50", num_classes=80, head=head, weights="coco")
