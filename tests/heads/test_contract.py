"""What every head promises: it fits every backbone, knowing its declared features alone."""

from itertools import cycle

import pytest
import torch

from tests.helpers.backbones import SMALLEST_OF_EACH_FAMILY
from tests.helpers.drawn_features import DrawnFeatures
from visionkit.backbones import list_backbones, read_backbone
from visionkit.heads import HEADS
from visionkit.models import create_model

NUM_CLASSES = 3
NECK = {"out_channels": 16, "finest_stride": 4}
DENSE = {"neck": {**NECK, "num_levels": 4}, "num_convs": 1}
TWO_STAGE = {"neck": {**NECK, "extra": "max_pool"}, "hidden": [24], "proposals": 50, "training_proposals": 50}
SMALL = {
    "auto": {}, "linear": {}, "mlp": {"hidden": [8]}, "conv": {"hidden": [8]},
    "multilabel": {}, "multilabel_linear": {},
    "fcos": DENSE, "retinanet": DENSE,
    "faster_rcnn": TWO_STAGE, "mask_rcnn": {**TWO_STAGE, "mask_convs": 2, "mask_channels": 12},
    "fcn": {"channels": 8}, "deeplabv3": {"channels": 8}, "deeplabv3plus": {"channels": 8, "detail_channels": 8},
    "fpn": {"neck": NECK, "channels": 8}, "unet": {"channels": [16, 8]},
}  # fmt: skip
FEW = ["lenet", "mobilenet_v2", "resnet20", "resnet18", "squeezenet1_1", "vgg11"]
HEADS_ON_BACKBONES = [
    pytest.param(head, name, marks=[] if name in FEW or (is_smallest and head == one) else pytest.mark.slow)
    for name, one in zip(list_backbones(), cycle(SMALL))
    for is_smallest in [name in SMALLEST_OF_EACH_FAMILY]
    for head in (SMALL if is_smallest or name in FEW else [one])
    if not (
        head in ("auto", "multilabel") and name.startswith(("alexnet", "vgg"))
    )  # their classifiers have 100 million weights
]
"""Every head on each family, and one of them, each in turn, on every backbone; most are slow."""


def test_every_head_is_among_the_cases():
    assert sorted(SMALL) == sorted(HEADS.names())


@pytest.fixture
def targets():
    """Two images with two objects and none, in each form that a head may need."""
    masks = torch.zeros(2, 4, 96, 90, dtype=torch.bool)
    masks[0, 0, 8:40, 5:30] = masks[0, 1, 30:62, 33:60] = True
    return {
        "label": torch.tensor([2, 0]),
        "label_set": torch.tensor([[1, 0, 1], [0, 0, 0]], dtype=torch.uint8),
        "boxes": torch.tensor([[[5.0, 8, 30, 40], [33, 30, 60, 62]], [[0.0] * 4] * 2]).repeat(1, 2, 1),
        "labels": torch.tensor([[1, 0, -1, -1], [-1] * 4]),
        "masks": masks,
        "mask": torch.randint(0, NUM_CLASSES, (2, 96, 90), dtype=torch.uint8),
    }


@pytest.mark.parametrize(("head", "name"), HEADS_ON_BACKBONES)
def test_every_head_trains_and_predicts_on_the_features_of_every_backbone(head, name, targets, monkeypatch):
    monkeypatch.setattr("visionkit.models.assemble.build_backbone", DrawnFeatures)
    torch.manual_seed(0)
    size = (96, 90)
    task = HEADS.get(head).task
    model = create_model(
        task, read_backbone(name), num_classes=NUM_CLASSES, head={"type": head, **SMALL[head]}, image_size=size
    )
    images, sizes = torch.zeros(2, model.backbone.spec.in_channels, *size, dtype=torch.uint8), torch.tensor([size] * 2)
    losses = model.loss(model(images, sizes), targets)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        predictions = model.eval().predict(model(images, sizes), sizes)
    assert all(len(values) == 2 for values in predictions.values())
    if task == "segment":
        assert predictions["mask"].shape == (2, *size)
