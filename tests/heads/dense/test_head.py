"""Detection heads: their arithmetic, geometry, losses and predictions, on any backbone."""

import pytest
import torch

from visionkit import UserError, create_model
from visionkit.backbones import read_backbone
from visionkit.heads import read_head

HEADS = ["fcos", "retinanet"]
SMALL = {"neck": {"out_channels": 16, "finest_stride": 4, "num_levels": 4}, "num_convs": 1}


def model(head="fcos", backbone="resnet20", *, num_classes=3, **options):
    torch.manual_seed(0)
    arguments = {key: options.pop(key) for key in ("in_channels", "image_size") if key in options}
    return create_model(
        "detect", backbone, num_classes=num_classes, head={"type": head, **SMALL, **options}, **arguments
    )


def images(count=2, channels=3, size=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def targets(*objects, padding=8):
    """A batch of one image per argument: lists of (x1, y1, x2, y2, label)."""
    boxes = torch.zeros(len(objects), padding, 4)
    labels = torch.full((len(objects), padding), -1)
    for image, found in enumerate(objects):
        for i, (*box, label) in enumerate(found):
            boxes[image, i], labels[image, i] = torch.tensor(box, dtype=torch.float32), label
    return {"boxes": boxes, "labels": labels}


TWO = targets([(5, 8, 30, 40, 1), (33, 30, 60, 62, 0)], [])


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("backbone", "channels"), [("lenet", 1), ("resnet20", 1), ("resnet18", 5)])
def test_images_of_any_number_of_channels_train_at_batch_size_one(head, backbone, channels):
    net = model(head, backbone, in_channels=channels, image_size=64)
    losses = net.loss(net(images(1, channels)), targets([(5, 8, 30, 40, 1)]))
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in net.head.parameters())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", ["lenet", "resnet18", "inception_v3"])
def test_the_trace_counts_the_parameters_and_multiplications_of_the_module(head, backbone):
    spec, size = read_backbone(backbone), (128, 96)
    head_spec = read_head({"type": head, **SMALL}, task="detect")
    records = head_spec.trace(spec, num_classes=5, image_size=size)
    net = create_model("detect", spec, num_classes=5, head={"type": head, **SMALL}, image_size=size)
    behind = [*net.neck.parameters(), *net.head.parameters()]
    assert sum(record.parameters for record in records) == sum(p.numel() for p in behind)

    seen = []

    def count(module, inputs, output):
        seen.append(module.weight.numel() * output.shape[-2] * output.shape[-1])

    for module in [*net.neck.modules(), *net.head.modules()]:
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    net.eval()(torch.zeros(1, spec.in_channels, *size, dtype=torch.uint8))
    assert sum(record.macs for record in records) == sum(seen)


@pytest.mark.parametrize("head", HEADS)
def test_places_stand_in_the_middle_of_what_their_cells_see(head):
    net = model(head, "lenet", image_size=64)
    outputs = net(images(1, 1, 64))
    assert outputs["centers_stride4"][:2, :2].tolist() == [[[8, 8], [12, 8]], [[8, 12], [12, 12]]]
    assert outputs["centers_stride16"][0, :2].tolist() == [[8, 8], [24, 8]]


def test_anchors_have_the_areas_and_ratios_that_were_asked_for():
    net = model("retinanet", "resnet20", scales=2, aspect_ratios=[0.25, 1.0])
    anchors = net.head.anchors(net(images(1)))
    sides = (anchors[:, 2:] - anchors[:, :2])[:4]  # of the first place, of stride 4
    torch.testing.assert_close(sides.prod(dim=1), torch.tensor([256.0, 512.0, 256.0, 512.0]))
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.tensor([0.25, 0.25, 1.0, 1.0]))
    middle = ((anchors[:4, :2] + anchors[:4, 2:]) / 2).unique(dim=0)
    torch.testing.assert_close(middle, torch.tensor([[0.5, 0.5]]))


@pytest.mark.parametrize("head", HEADS)
def test_padding_of_the_targets_changes_nothing(head):
    net = model(head).eval()
    outputs = net(images())
    more = targets([(5, 8, 30, 40, 1), (33, 30, 60, 62, 0)], [], padding=24)
    more["boxes"][0, 2:] = 17.0  # what lies in the padding is nobody's box
    before, after = net.loss(outputs, TWO), net.loss(outputs, more)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("head", HEADS)
def test_an_image_without_objects_is_all_background(head):
    net = model(head)
    losses = net.loss(net(images()), targets([], []))
    assert net.head.assign(net(images()), targets([], [])).max() == -1
    assert losses["boxes"] == 0
    assert losses["classification"] > 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in net.head.parameters())


def test_of_two_objects_around_a_place_the_smaller_counts():
    net = model("fcos")
    matched = net.head.assign(net(images(1)), targets([(0, 0, 40, 40, 0), (12, 12, 28, 28, 1)]))
    centers = net(images(1))["centers_stride4"].flatten(0, 1)
    at = (centers == torch.tensor([20.5, 20.5])).all(dim=1).nonzero()
    assert matched[0, at] == 1


def test_every_object_has_an_anchor_of_its_own_however_little_they_overlap():
    net = model("retinanet")
    matched = net.head.assign(net(images(1)), targets([(1, 1, 63, 4, 0), (50, 50, 53, 53, 2)]))
    assert {0, 1} <= set(matched.unique().tolist())


def test_the_iou_branch_learns_how_well_the_boxes_fit():
    net = model("fcos", quality="iou")
    outputs = net(images())
    losses = net.loss(outputs, TWO)
    assert set(losses) == {"classification", "boxes", "iou"}
    matched = net.head.assign(outputs, TWO)
    places = matched[0].clamp(min=0)
    boxes = net.head.decode(outputs, torch.arange(matched.shape[1])[None].expand(2, -1))
    from torchvision.ops import box_iou

    fits = box_iou(boxes[0], TWO["boxes"][0])[torch.arange(len(places)), places]
    there = matched[0] >= 0
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        outputs["quality"][0][there], fits[there].detach(), reduction="mean"
    )
    torch.testing.assert_close(losses["iou"], expected)


@pytest.mark.parametrize("head", HEADS)
def test_detections_are_sorted_within_their_images_and_padded_with_minus_one(head):
    net = model(head, score_threshold=0.0101, max_detections=7).eval()
    sizes = torch.tensor([[64, 40], [50, 64]])
    found = net.predict(net(images(), sizes), sizes)
    assert found["boxes"].shape == (2, 7, 4)
    assert (found["scores"].diff(dim=1) <= 0).all()
    assert (found["boxes"][0, :, [0, 2]] <= 40).all()
    assert (found["boxes"][1, :, [1, 3]] <= 50).all()
    nothing = model(head, score_threshold=1.0).eval()
    empty = nothing.predict(nothing(images(), sizes), sizes)
    assert (empty["labels"] == -1).all()
    assert empty["scores"].abs().max() == empty["boxes"].abs().max() == 0


def test_distances_begin_in_the_middle_of_what_a_level_is_for_and_all_of_them_learn():
    net = model("fcos")
    outputs = net(images())
    torch.testing.assert_close(outputs["distances"].mean(), torch.tensor(4.0), rtol=0.1, atol=0)
    net.loss(outputs, TWO)["boxes"].backward()
    assert (net.head.distances.weight.grad.abs().sum((1, 2, 3)) > 0).all()


def test_scores_begin_at_one_in_a_hundred():
    probabilities = model("retinanet")(images())["logits"].sigmoid()
    torch.testing.assert_close(probabilities.mean(), torch.tensor(0.01), rtol=0.2, atol=0)


@pytest.mark.parametrize("head", HEADS)
def test_a_few_steps_find_the_objects_of_one_image(head):
    torch.manual_seed(0)
    net = model(head, "resnet20")
    x = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    x[:, :, 8:40, 5:30], x[:, :, 30:62, 33:60] = 255, 128
    truth = targets([(5, 8, 30, 40, 1), (33, 30, 60, 62, 0)])
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for _ in range(30):
        optimizer.zero_grad()
        sum(net.loss(net(x), truth).values()).backward()
        optimizer.step()
    net.train()  # batch norm of the backbone on the one image it knows
    found = net.predict(net(x), torch.tensor([[64, 64]]))
    from torchvision.ops import box_iou

    overlaps = box_iou(found["boxes"][0, :2], truth["boxes"][0, :2])
    assert overlaps.max(dim=1).values.min() > 0.7
    assert sorted(found["labels"][0, :2].tolist()) == [0, 1]


@pytest.mark.parametrize("head", HEADS)
def test_the_forward_pass_compiles_to_one_graph_and_exports(head):
    net = model(head, "lenet", in_channels=1, image_size=64).eval()
    x, sizes = images(2, 1), torch.tensor([[64, 60], [50, 64]])
    with torch.no_grad():
        expected = net(x, sizes)
        compiled = torch.compile(net, backend="aot_eager", fullgraph=True)(x, sizes)
        exported = torch.export.export(net, (x, sizes)).module()(x, sizes)
    for outputs in (compiled, exported):
        assert list(outputs) == list(expected)
        for name, value in expected.items():
            torch.testing.assert_close(outputs[name], value)


@pytest.mark.parametrize("head", HEADS)
def test_the_loss_compiles_to_one_graph(head):
    net = model(head, "lenet", in_channels=1, image_size=64)
    outputs = {name: value.detach() for name, value in net(images(2, 1)).items()}
    expected = net.loss(outputs, TWO)
    compiled = torch.compile(net.head.loss, backend="aot_eager", fullgraph=True)(outputs, TWO)
    for name, value in expected.items():
        torch.testing.assert_close(compiled[name], value)


@pytest.mark.parametrize("head", HEADS)
def test_half_precision_moves_no_place_and_no_anchor(head):
    net = model(head)
    before = net(images())
    after = net.bfloat16()(images())
    assert torch.equal(after["centers_stride4"], before["centers_stride4"])
    if head == "retinanet":
        assert torch.equal(net.head.anchors(after), net.head.anchors(before))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "retinanet", "foreground_iou": 0.3}, "background_iou must be at most foreground_iou=0.3, found 0.4"),
        ({"type": "retinanet", "aspect_ratios": []}, "head.aspect_ratios: expected"),
        ({"type": "fcos", "quality": "centre"}, "head.quality: expected 'centerness' or 'iou', found \"centre\""),
        (
            {"type": "fcos", "center_radius": 0},
            "head.center_radius: expected a number greater than 0 and at most 16, found 0",
        ),
    ],
)
def test_wrong_options_are_refused_in_words(options, message):
    with pytest.raises(UserError) as error:
        read_head(options, task="detect")
    assert message in str(error.value)
