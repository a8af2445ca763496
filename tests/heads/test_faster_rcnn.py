"""Faster R-CNN: equal to torchvision's with the same weights, and right where torchvision guesses."""

import pytest
import torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.ops import box_convert

from visionkit import create_model
from visionkit.models import convert_state_dict

CLASSES = 6
SMALL = {
    "type": "faster_rcnn",
    "neck": {"out_channels": 16, "finest_stride": 4, "extra": "max_pool"},
    "hidden": [24],
    "proposals": 50,
    "training_proposals": 50,
}


def boxes_within(size, count, generator):
    height, width = size
    centers = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    sides = 8 + 56 * torch.rand(count, 2, generator=generator)
    boxes = box_convert(torch.cat([centers, sides], dim=1), "cxcywh", "xyxy").clamp(min=0)
    return boxes.minimum(torch.tensor([width, height, width, height]))


@pytest.fixture(scope="module")
def batch():
    """Images of three sizes, padded to one, with 3, 0 and 9 objects."""
    generator = torch.Generator().manual_seed(1)
    sizes = [(128, 160), (128, 130), (128, 144)]
    images = torch.zeros(3, 3, 128, 160, dtype=torch.uint8)
    boxes, labels = torch.zeros(3, 16, 4), torch.full((3, 16), -1)
    for i, (size, count) in enumerate(zip(sizes, (3, 0, 9), strict=True)):
        images[i, :, : size[0], : size[1]] = torch.randint(0, 256, (3, *size), generator=generator)
        boxes[i, :count] = boxes_within(size, count, generator)
        labels[i, :count] = torch.randint(CLASSES, (count,), generator=generator)
    return {"images": images, "image_sizes": torch.tensor(sizes), "boxes": boxes, "labels": labels}


@pytest.fixture(scope="module")
def both(batch):
    """torchvision's network with random weights that tell things apart, and ours with the same."""
    torch.manual_seed(0)
    theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES + 1, min_size=128)
    with torch.no_grad():
        for layer in (theirs.rpn.head.cls_logits, theirs.rpn.head.bbox_pred, theirs.roi_heads.box_predictor.bbox_pred):
            layer.weight.mul_(10)
        theirs.roi_heads.box_predictor.cls_score.weight.mul_(40)
    head = {"type": "faster_rcnn", "centers": "corner"}
    ours = create_model("detect", "resnet50", num_classes=CLASSES, head=head)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), "resnet50", task="detect", head=head))
    return ours, theirs


def unpadded(batch):
    pairs = zip(batch["images"], batch["image_sizes"].tolist(), strict=True)
    return [image[:, :height, :width].float() / 255 for image, (height, width) in pairs]


def test_losses_equal_torchvisions_with_the_same_draws(both, batch):
    ours, theirs = (model.train() for model in both)
    theirs.transform.eval()  # which else draws a size
    truth = [
        {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
        for boxes, labels in zip(batch["boxes"], batch["labels"], strict=True)
    ]
    torch.manual_seed(3)
    expected = theirs(unpadded(batch), truth)
    torch.manual_seed(3)
    losses = ours.loss(ours(batch["images"], batch["image_sizes"]), batch)
    names = {"objectness": "loss_objectness", "proposals": "loss_rpn_box_reg",
             "classification": "loss_classifier", "boxes": "loss_box_reg"}  # fmt: skip
    assert losses.keys() == names.keys()
    for name, other in names.items():
        torch.testing.assert_close(losses[name], expected[other], rtol=1e-4, atol=1e-4)


def test_detections_equal_torchvisions(both, batch):
    ours, theirs = (model.eval() for model in both)
    with torch.no_grad():
        expected = theirs(unpadded(batch))
        found = ours.predict(ours(batch["images"], batch["image_sizes"]), batch["image_sizes"])
    assert sum(len(one["scores"]) for one in expected) > 30
    for i, one in enumerate(expected):
        count = len(one["scores"])
        assert (found["labels"][i] >= 0).sum() == count
        assert torch.equal(found["labels"][i, :count] + 1, one["labels"])
        torch.testing.assert_close(found["boxes"][i, :count], one["boxes"], rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(found["scores"][i, :count], one["scores"], rtol=1e-4, atol=1e-4)
