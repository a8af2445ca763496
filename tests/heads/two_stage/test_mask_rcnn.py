"""Mask R-CNN: equal to torchvision's with the same weights, and its masks where the pixels are."""

import pytest
import torch
from torch import nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.roi_heads import paste_masks_in_image

from tests.helpers.bare_networks import uninitialised
from visionkit import create_model
from visionkit.backbones import read_backbone
from visionkit.heads import read_head
from visionkit.models import convert_state_dict
from visionkit.structures.rle import decode_mask, paste_masks
from visionkit.structures.static_nms import StaticNms

CLASSES = 6
AS_TORCHVISION = {"type": "mask_rcnn", "centers": "corner", "max_detections": 25}
SMALL = {
    "type": "mask_rcnn",
    "neck": {"out_channels": 16, "finest_stride": 4, "extra": "max_pool"},
    "hidden": [24],
    "mask_convs": 2,
    "mask_channels": 12,
    "proposals": 50,
    "training_proposals": 50,
}


def ellipses(boxes, size):
    """Masks (n, H, W): the ellipse that fills each box."""
    rows, columns = (torch.arange(length) + 0.5 for length in size)
    near, far = (corners[:, None, None] for corners in boxes.split(2, dim=1))
    middle, half = (near + far) / 2, (far - near) / 2
    across = (columns - middle[..., 0]) / half[..., 0]
    down = (rows[:, None] - middle[..., 1]) / half[..., 1]
    return across**2 + down**2 <= 1


@pytest.fixture(scope="module")
def batch():
    """Images of three sizes, padded to one, with 3, 0 and 9 objects."""
    generator = torch.Generator().manual_seed(1)
    sizes = [(128, 160), (128, 130), (128, 144)]
    images = torch.zeros(3, 3, 128, 160, dtype=torch.uint8)
    boxes, labels = torch.zeros(3, 16, 4), torch.full((3, 16), -1)
    masks = torch.zeros(3, 16, 128, 160, dtype=torch.bool)
    for i, ((height, width), count) in enumerate(zip(sizes, (3, 0, 9), strict=True)):
        images[i, :, :height, :width] = torch.randint(0, 256, (3, height, width), generator=generator)
        sides = 16 + 56 * torch.rand(count, 2, generator=generator)
        corners = torch.rand(count, 2, generator=generator) * (torch.tensor([width, height]) - sides)
        boxes[i, :count] = torch.cat([corners, corners + sides], dim=1)
        labels[i, :count] = torch.randint(CLASSES, (count,), generator=generator)
        masks[i, :count] = ellipses(boxes[i, :count], (128, 160))
    return {"images": images, "image_sizes": torch.tensor(sizes), "boxes": boxes, "labels": labels, "masks": masks}


@pytest.fixture(scope="module", params=["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def backbone(request):
    return request.param


@pytest.fixture(scope="module")
def theirs(backbone, batch):
    """torchvision's network with random weights that tell things apart, and the batch's own norm statistics."""
    torch.manual_seed(0)
    trunk = resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d)
    model = MaskRCNN(trunk, num_classes=CLASSES + 1, min_size=128, box_detections_per_img=25)
    with torch.no_grad():
        for layer in (model.rpn.head.cls_logits, model.rpn.head.bbox_pred, model.roi_heads.box_predictor.bbox_pred):
            layer.weight.mul_(10)
        model.roi_heads.box_predictor.cls_score.weight.mul_(10)
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        model.backbone(model.transform(unpadded(batch))[0].tensors)
        for norm in norms:
            norm.momentum = 0.0
    return model


def with_weights_of(theirs, backbone):
    with uninitialised():
        ours = create_model("instance", backbone, num_classes=CLASSES, head=AS_TORCHVISION)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), backbone, task="instance", head=AS_TORCHVISION))
    return ours.train(theirs.training)


def outputs_of(ours, theirs, batch):
    """Of images that torchvision has normalised, since deep random networks blow up what rounding differs."""
    images = theirs.transform(unpadded(batch))[0].tensors
    return ours.head(ours.neck(ours.backbone(images)), tuple(images.shape[-2:]))


def unpadded(batch):
    pairs = zip(batch["images"], batch["image_sizes"].tolist(), strict=True)
    return [image[:, :height, :width].float() / 255 for image, (height, width) in pairs]


def test_losses_equal_torchvisions_with_the_same_draws(theirs, backbone, batch):
    ours = with_weights_of(theirs.train(), backbone)
    theirs.transform.eval()  # in training it draws a size of images too
    truth = [
        {"boxes": boxes[there], "labels": labels[there] + 1, "masks": masks[there, :height, :width].to(torch.uint8)}
        for boxes, labels, masks, there, (height, width) in zip(
            *(batch[name] for name in ("boxes", "labels", "masks")),
            batch["labels"] >= 0,
            batch["image_sizes"].tolist(),
            strict=True,
        )
    ]
    outputs = outputs_of(ours, theirs, batch)
    torch.manual_seed(3)
    losses = ours.loss(outputs, batch)
    torch.manual_seed(3)
    expected = theirs(unpadded(batch), truth)
    names = {"objectness": "loss_objectness", "proposals": "loss_rpn_box_reg",
             "classification": "loss_classifier", "boxes": "loss_box_reg", "masks": "loss_mask"}  # fmt: skip
    assert losses.keys() == names.keys()
    assert expected["loss_mask"] > 0.1
    for name, other in names.items():
        torch.testing.assert_close(losses[name], expected[other], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_detections_and_masks_equal_torchvisions(theirs, backbone, batch, monkeypatch):
    ours = with_weights_of(theirs.eval(), backbone)
    monkeypatch.setattr(theirs.transform, "postprocess", lambda found, *sizes: found)  # masks as the head gives them
    with torch.no_grad():
        expected = theirs(unpadded(batch))
        found = ours.predict(outputs_of(ours, theirs, batch), batch["image_sizes"])
    assert sum(len(one["scores"]) for one in expected) > 30
    for i, one in enumerate(expected):
        count = len(one["scores"])
        assert torch.equal(found["labels"][i, :count] + 1, one["labels"])
        torch.testing.assert_close(found["boxes"][i, :count], one["boxes"], rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(found["mask_logits"][i, :count].sigmoid(), one["masks"][:, 0], rtol=1e-4, atol=1e-4)
        assert found["labels"][i, count:].eq(-1).all()
        assert found["mask_logits"][i, count:].eq(0).all()


def test_pasted_masks_agree_with_torchvisions_but_for_its_whole_pixels(batch):
    boxes = batch["boxes"][2, :9]
    grid = (torch.arange(28) + 0.5) / 14 - 1
    probabilities = (6 * (1 - grid**2 - grid[:, None] ** 2)).sigmoid().expand(9, 28, 28)  # an ellipse
    theirs = paste_masks_in_image(probabilities[:, None], boxes, (128, 160))[:, 0] >= 0.5
    exact = ellipses(boxes, (128, 160))
    for runs, other, truth in zip(paste_masks(probabilities.logit(), boxes, (128, 160)), theirs, exact, strict=True):
        ours = torch.from_numpy(decode_mask(runs))
        iou, their_iou = (((one & truth).sum() / (one | truth).sum()).item() for one in (ours, other))
        assert iou > 0.97
        assert iou > their_iou > 0.8


def small_model(backbone="resnet18", **options):
    torch.manual_seed(0)
    return create_model("instance", backbone, num_classes=CLASSES, head=SMALL, **options)


def test_every_weight_learns_and_images_without_objects_too(batch):
    model = small_model()
    losses = model.loss(model(batch["images"], batch["image_sizes"]), batch)
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.head.masks.conv1.conv.weight.grad.abs().max() > 0
    nothing = {**batch, "labels": torch.full_like(batch["labels"], -1)}
    losses = model.loss(model(batch["images"], batch["image_sizes"]), nothing)
    sum(losses.values()).backward()
    assert losses["masks"] == losses["boxes"] == 0


def test_only_the_mask_of_the_right_class_learns(batch):
    model = small_model()
    one = {**batch, "labels": torch.where(batch["labels"] >= 0, 4, -1)}
    model.loss(model(batch["images"], batch["image_sizes"]), one)["masks"].backward()
    assert model.head.masks.logits.bias.grad.nonzero().flatten().tolist() == [5]  # behind the background


def test_masks_in_a_box_are_those_of_its_pixels():
    # The left half of the box is the object's: of 28 columns the first 14
    model = small_model()
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[1, 8:36, 10:24] = True
    wanted = model.head._mask_targets(masks, torch.tensor([[10.0, 8.0, 38.0, 36.0]]), torch.tensor([1]))
    assert wanted.shape == (1, 28, 28)
    assert wanted[0, :, :14].eq(1).all()
    assert wanted[0, :, 14:].eq(0).all()


@pytest.mark.parametrize("backbone", ["lenet", "resnet20"])
def test_a_step_on_backbones_without_coarse_stages_and_images_of_one_channel(backbone, batch):
    model = small_model(backbone, in_channels=1, image_size=128)
    losses = model.loss(model(batch["images"][:, :1], batch["image_sizes"]), batch)
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_counted_parameters_are_those_of_the_module():
    for backbone in ("resnet18", "lenet"):
        model = small_model(backbone, image_size=128)
        head = read_head(SMALL, task="instance")
        records = head.trace(model.backbone.spec, num_classes=CLASSES, image_size=(128, 128))
        built = [p.numel() for part in (model.neck, model.head) for p in part.parameters()]
        assert sum(record.parameters for record in records) == sum(built)


def test_the_masks_multiplications_count_for_each_box():
    head = read_head(SMALL, task="instance")
    records = head.trace(read_backbone("resnet18"), num_classes=CLASSES, image_size=(128, 128))
    (masks,) = (record for record in records if record.path == ("head", "masks"))
    convs = 14 * 14 * 9 * (16 * 12 + 12 * 12)
    assert masks.macs == 100 * (convs + 28 * 28 * (12 * 12 + 12 * (CLASSES + 1)))
    assert masks.after.chw == (CLASSES + 1, 28, 28)


def test_the_paper_sizes_are_the_defaults():
    head = read_head("mask_rcnn", task="instance")
    records = head.trace(read_backbone("resnet50"), num_classes=90, image_size=(800, 800))
    expected = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    there = sum(p.numel() for name, p in expected.named_parameters() if not name.startswith("backbone.body"))
    assert sum(record.parameters for record in records if record.path[0] in ("neck", "head")) == there


def test_forward_exports(batch):
    model = small_model().eval()
    exported = torch.export.export(model, (batch["images"],)).module()
    with torch.no_grad():
        expected, found = model(batch["images"]), exported(batch["images"])
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_predictions_export_for_any_batch_and_for_images_without_objects(batch):
    model = small_model().eval()
    head = model.head
    head.suppress, head.suppress_proposals = StaticNms(), StaticNms(limit=50, rounds=30)
    with torch.no_grad():
        head.roi_heads.box_predictor.classes.weight.mul_(40)
    model.forward = lambda images, sizes, forward=model.forward: model.predict(forward(images, sizes), sizes)
    inputs = batch["images"][:2], batch["image_sizes"][:2]
    size = torch.export.Dim("batch", min=1, max=8)
    exported = torch.export.export(model, inputs, dynamic_shapes=({0: size}, {0: size})).module()
    blank = torch.zeros(1, 3, 128, 160, dtype=torch.uint8), torch.tensor([[1, 1]])
    with torch.no_grad():
        for arguments in ((batch["images"], batch["image_sizes"]), inputs, blank):
            expected, found = model(*arguments), exported(*arguments)
            assert expected.keys() == found.keys()
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)
        assert (model(*inputs)["labels"] >= 0).sum() > 10
