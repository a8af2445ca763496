"""Faster R-CNN: equal to torchvision's with the same weights, and right where torchvision guesses."""

import pytest
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import box_convert

from tests.helpers.bare_networks import uninitialised
from visionkit import create_model
from visionkit.backbones import read_backbone
from visionkit.heads import read_head
from visionkit.heads.two_stage.selection import class_boxes
from visionkit.models import convert_state_dict

CLASSES = 6
AS_TORCHVISION = {"type": "faster_rcnn", "centers": "corner"}
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


@pytest.fixture(scope="module", params=["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def backbone(request):
    return request.param


@pytest.fixture(scope="module")
def theirs(backbone, batch):
    """torchvision's network with random weights that tell things apart, and the batch's own norm statistics."""
    torch.manual_seed(0)
    trunk = resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d)
    model = FasterRCNN(trunk, num_classes=CLASSES + 1, min_size=128)
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
        ours = create_model("detect", backbone, num_classes=CLASSES, head=AS_TORCHVISION)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), backbone, task="detect", head=AS_TORCHVISION))
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
        {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
        for boxes, labels in zip(batch["boxes"], batch["labels"], strict=True)
    ]
    outputs = outputs_of(ours, theirs, batch)
    torch.manual_seed(3)
    losses = ours.loss(outputs, batch)
    torch.manual_seed(3)
    expected = theirs(unpadded(batch), truth)
    names = {"objectness": "loss_objectness", "proposals": "loss_rpn_box_reg",
             "classification": "loss_classifier", "boxes": "loss_box_reg"}  # fmt: skip
    assert losses.keys() == names.keys()
    for name, other in names.items():
        torch.testing.assert_close(losses[name], expected[other], rtol=1e-4, atol=1e-4)


def test_detections_equal_torchvisions(theirs, backbone, batch):
    ours = with_weights_of(theirs.eval(), backbone)
    with torch.no_grad():
        expected = theirs(unpadded(batch))
        found = ours.predict(outputs_of(ours, theirs, batch), batch["image_sizes"])
    assert sum(len(one["scores"]) for one in expected) > 30
    for i, one in enumerate(expected):
        count = len(one["scores"])
        assert torch.equal(found["labels"][i, :count] + 1, one["labels"])
        torch.testing.assert_close(found["boxes"][i, :count], one["boxes"], rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(found["scores"][i, :count], one["scores"], rtol=1e-5, atol=1e-5)
        assert found["labels"][i, count:].eq(-1).all()
        assert found["boxes"][i, count:].eq(0).all()


def small_model(backbone="resnet18", **options):
    torch.manual_seed(0)
    return create_model("detect", backbone, num_classes=CLASSES, head=SMALL, **options)


def test_validation_draws_the_same_samples_and_leaves_the_generator_alone(batch):
    model = small_model().eval()
    outputs = model(batch["images"], batch["image_sizes"])
    torch.manual_seed(5)
    first = model.loss(outputs, batch)
    drawn = torch.rand(())
    torch.manual_seed(6)
    assert model.loss(outputs, batch) == first
    torch.manual_seed(5)
    assert torch.rand(()) == drawn


def test_predictions_without_image_sizes_are_cut_off_at_the_batchs_edges(batch):
    model = small_model().eval()
    with torch.no_grad():
        outputs = model(batch["images"])
        found = model.predict(outputs)
        assert torch.equal(found["boxes"], model.predict(outputs, torch.tensor([[128, 160]] * 3))["boxes"])
    assert (found["labels"] >= 0).any()
    assert found["boxes"].amax(dim=(0, 1)).tolist() == [*found["boxes"].amax(dim=(0, 1)).tolist()[:2], 160, 128]


def test_an_image_is_predicted_in_a_batch_as_it_is_alone(batch):
    model = small_model().eval()
    with torch.no_grad():
        model.head.roi_heads.box_predictor.classes.weight.mul_(40)
        together = model.predict(model(batch["images"], batch["image_sizes"]), batch["image_sizes"])
        for i in range(3):
            images, sizes = batch["images"][i : i + 1], batch["image_sizes"][i : i + 1]
            alone = model.predict(model(images, sizes), sizes)
            assert (alone["labels"] >= 0).sum() > 5
            assert torch.equal(together["labels"][i], alone["labels"][0])
            torch.testing.assert_close(together["boxes"][i], alone["boxes"][0], rtol=1e-4, atol=1e-2)


def test_boxes_whose_scores_round_to_one_are_ordered_by_what_lies_behind():
    logits = torch.tensor([[0.0, 20.0], [0.0, 22.0]])
    assert logits.softmax(dim=1)[:, 1].tolist() == [1.0, 1.0]
    proposals = torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 2)
    _, scores, labels = class_boxes(
        logits, torch.zeros(2, 8), proposals, torch.tensor([[64, 64]] * 2), score_threshold=0.5
    )
    assert scores[0] < scores[1] < 1
    assert labels.tolist() == [[0], [0]]


def test_training_draws_other_samples_each_time(batch):
    model = small_model()
    model.head.roi_heads.fg_bg_sampler.sampler.batch_size_per_image = 8
    outputs = model(batch["images"], batch["image_sizes"])
    torch.manual_seed(5)
    assert model.loss(outputs, batch)["classification"] != model.loss(outputs, batch)["classification"]


def test_every_weight_learns_and_images_without_objects_too(batch):
    model = small_model()
    losses = model.loss(model(batch["images"], batch["image_sizes"]), batch)
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    nothing = {**batch, "labels": torch.full_like(batch["labels"], -1)}
    losses = model.loss(model(batch["images"], batch["image_sizes"]), nothing)
    assert losses["boxes"] == losses["proposals"] == 0
    assert losses["classification"].isfinite()
    assert losses["objectness"].isfinite()


@pytest.mark.parametrize("backbone", ["lenet", "resnet20"])
def test_a_step_on_backbones_without_coarse_stages_and_images_of_one_channel(backbone, batch):
    model = small_model(backbone, in_channels=1, image_size=128)
    losses = model.loss(model(batch["images"][:, :1], batch["image_sizes"]), batch)
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_anchors_stand_where_the_levels_say():
    head = read_head({**SMALL, "aspect_ratios": [1.0]}, task="detect")
    spec = read_backbone("lenet")
    model = small_model("lenet", image_size=64)
    first = next(iter(head.neck.feature_info(spec).values()))
    assert (first.stride, first.offset) == (4, 7.5)
    anchors = model(torch.zeros(1, 1, 64, 64, dtype=torch.uint8))["anchors"]
    squares = anchors[1::3]  # the middle one of three ratios
    centers = (squares[:, :2] + squares[:, 2:]) / 2
    torch.testing.assert_close(centers[:3], torch.tensor([[8.0, 8.0], [12.0, 8.0], [16.0, 8.0]]))
    torch.testing.assert_close(squares[0, 2:] - squares[0, :2], torch.tensor([32.0, 32.0]))


def test_counted_parameters_are_those_of_the_module():
    for backbone in ("resnet18", "lenet"):
        model = small_model(backbone, image_size=128)
        head = read_head(SMALL, task="detect")
        records = head.trace(model.backbone.spec, num_classes=CLASSES, image_size=(128, 128))
        built = [p.numel() for part in (model.neck, model.head) for p in part.parameters()]
        assert sum(record.parameters for record in records) == sum(built)


def test_the_second_stages_multiplications_count_for_each_proposal():
    head = read_head(SMALL, task="detect")
    records = head.trace(read_backbone("resnet18"), num_classes=CLASSES, image_size=(128, 128))
    macs = {record.path: record.macs for record in records}
    assert macs["head", "hidden"] == 50 * 16 * 7 * 7 * 24
    assert macs["head", "boxes"] == 50 * 24 * 4 * (CLASSES + 1)


def test_the_paper_sizes_are_the_defaults():
    head = read_head("faster_rcnn", task="detect")
    records = head.trace(read_backbone("resnet50"), num_classes=90, image_size=(800, 800))
    own = {"neck", "head"}
    expected = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    there = sum(p.numel() for name, p in expected.named_parameters() if not name.startswith("backbone.body"))
    assert sum(record.parameters for record in records if record.path[0] in own) == there


def test_forward_exports(batch):
    model = small_model().eval()
    exported = torch.export.export(model, (batch["images"],)).module()
    with torch.no_grad():
        expected, found = model(batch["images"]), exported(batch["images"])
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)
