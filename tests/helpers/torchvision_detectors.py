"""Torchvision's detectors with random weights that find something, and images of different sizes for them."""

from functools import partial

import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

CLASSES = 7
SIZES = [(200, 150), (130, 230), (97, 101)]
"""Height and width of three images; the largest extents, rounded up to 32 as torchvision does, are 224 and 256."""

HEADS = {
    "fcos": {"type": "fcos", "centers": "corner", "score_threshold": 0.2},
    "retinanet": {"type": "retinanet", "centers": "corner", "max_detections": 300},
    "retinanet_v2": {
        "type": "retinanet", "norm": "group", "box_loss": "giou", "neck": {"extra_from": "stage"}, "centers": "corner",
        "max_detections": 300,
    },
}  # fmt: skip
"""What ours are told, to be what torchvision's are."""


def of_torchvision(name, backbone="resnet50", **options):
    """One of torchvision's three, in evaluation mode, on images as they are."""
    options = {"num_classes": CLASSES, **options}
    if backbone == "resnet50":
        make = {
            "fcos": detection.fcos_resnet50_fpn,
            "retinanet": detection.retinanet_resnet50_fpn,
            "retinanet_v2": detection.retinanet_resnet50_fpn_v2,
        }[name]
        model = make(weights=None, weights_backbone=None, **options)
    else:
        import torchvision

        body = getattr(torchvision.models, backbone)(weights=None)
        from_stage = 512 if name == "retinanet_v2" else 256
        pyramid = _resnet_fpn_extractor(body, 5, [2, 3, 4], LastLevelP6P7(from_stage, 256))
        if name == "fcos":
            model = detection.FCOS(pyramid, **options)
        else:
            norm = partial(nn.GroupNorm, 32) if name == "retinanet_v2" else None
            head = detection.retinanet.RetinaNetHead(256, 9, options["num_classes"], norm_layer=norm)
            head.regression_head._loss_type = "giou" if name == "retinanet_v2" else "l1"
            model = detection.RetinaNet(pyramid, head=head, **options)
    model.transform.resize = lambda image, target=None: (image, target)
    return randomised(model).eval()


def randomised(model):
    """Norms do something, and some places are sure of an object."""
    generator = torch.Generator().manual_seed(0)
    for module in model.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
    for name, parameter in model.named_parameters():
        if name.startswith("backbone.fpn") and parameter.ndim == 4:
            parameter.data.normal_(0, 0.3 / parameter[0].numel() ** 0.5, generator=generator)
        elif name.startswith("head") and parameter.ndim == 4:
            parameter.data.normal_(0, 1.4 / parameter[0].numel() ** 0.5, generator=generator)
        elif name == "head.classification_head.cls_logits.bias":
            parameter.data.fill_(-2.0)
    return model


def images(seed=0):
    """A list of images (3, H, W) uint8, and the same in one padded batch with their sizes."""
    generator = torch.Generator().manual_seed(seed)
    alone = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in SIZES]
    batch = torch.zeros(len(SIZES), 3, 224, 256, dtype=torch.uint8)
    for padded, image in zip(batch, alone, strict=True):
        padded[:, : image.shape[1], : image.shape[2]] = image
    return alone, batch, torch.tensor(SIZES)


def objects(counts=(5, 8, 0), seed=0):
    """Random boxes as torchvision's list of targets, and the same padded; the last image has none."""
    generator = torch.Generator().manual_seed(seed)
    alone, boxes, labels = [], torch.zeros(len(SIZES), 8, 4), torch.full((len(SIZES), 8), -1)
    for i, (count, (height, width)) in enumerate(zip(counts, SIZES, strict=True)):
        extent = torch.tensor([width, height])
        near = torch.rand(count, 2, generator=generator) * extent * 0.6
        found = torch.cat([near, near + torch.rand(count, 2, generator=generator) * extent * 0.38 + 3], dim=1)
        classes = torch.randint(0, CLASSES, (count,), generator=generator)
        boxes[i, :count], labels[i, :count] = found, classes
        alone.append({"boxes": found, "labels": classes})
    return alone, {"boxes": boxes, "labels": labels}


def matched_by(model, alone, targets):
    """Which object torchvision matches each place with, (B, A), and its losses."""
    seen = {}
    judge = model.head.compute_loss
    model.head.compute_loss = lambda *arguments: (
        seen.setdefault("losses", judge(*arguments)) and seen.setdefault("matched", arguments[-1])
    )
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    model([image / 255 for image in alone], targets)
    model.head.compute_loss = judge
    model.eval()
    return torch.stack(seen["matched"]), seen["losses"]
