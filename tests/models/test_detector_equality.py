"""Our detectors against torchvision's of the same name: same weights, same images, padded in one batch."""

import pytest
import torch

from tests.helpers.bare_networks import uninitialised
from tests.helpers.torchvision_detectors import CLASSES, HEADS, images, matched_by, objects, of_torchvision
from visionkit.models import convert_state_dict, create_model

CASES = [pytest.param((name, "resnet18"), id=f"{name}-resnet18") for name in HEADS] + [
    pytest.param((name, "resnet50"), id=f"{name}-resnet50", marks=pytest.mark.slow) for name in HEADS
]


@pytest.fixture(scope="module")
def pair(request):
    """Ours and torchvision's, with the same weights, for tests that change neither."""
    name, backbone = request.param
    theirs = of_torchvision(name, backbone)
    with uninitialised():
        ours = create_model("detect", backbone, num_classes=CLASSES, head=HEADS[name], image_size=256)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), backbone, task="detect", head=HEADS[name]))
    return ours.eval(), theirs


@pytest.mark.parametrize("pair", CASES, indirect=True)
def test_matched_targets_and_losses_equal_torchvisions(pair):
    ours, theirs = pair
    alone, batch, sizes = images()
    targets, padded = objects()
    matched, losses = matched_by(theirs, alone, targets)
    outputs = ours(batch, sizes)
    assert (matched >= 0).sum() > 20
    assert torch.equal(ours.head.assign(outputs, padded), matched)
    for mine, other in zip(ours.loss(outputs, padded).values(), losses.values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pair", CASES, indirect=True)
def test_detections_equal_torchvisions(pair):
    """Boxes whose scores are alike to rounding may change places; so each is looked for among those near its score."""
    ours, theirs = pair
    alone, batch, sizes = images()
    with torch.no_grad():
        expected = theirs([image / 255 for image in alone])
        found = ours.predict(ours(batch, sizes), sizes)
    for image, wanted in enumerate(expected):
        there = found["labels"][image] >= 0
        assert len(wanted["boxes"]) == there.sum() > 5
        scores, boxes, labels = (found[key][image][there] for key in ("scores", "boxes", "labels"))
        torch.testing.assert_close(scores, wanted["scores"], rtol=1e-4, atol=1e-5)
        alike = (scores[:, None] - wanted["scores"]).abs() < 1e-4
        alike &= labels[:, None] == wanted["labels"]
        alike &= (boxes[:, None] - wanted["boxes"]).abs().amax(dim=2) < 0.02
        sure = scores > scores[-1] + 1e-4  # at the very end others may be cut off
        assert alike[sure].any(dim=1).all()


@pytest.mark.parametrize(("pair", "name"), [((name, "resnet18"), name) for name in HEADS], indirect=["pair"], ids=HEADS)
def test_the_comparison_fails_for_another_geometry(pair, name):
    ours, theirs = pair
    with uninitialised():
        other = create_model("detect", "resnet18", num_classes=CLASSES, image_size=256,
                             head={**HEADS[name], "centers": "receptive_field"})  # fmt: skip
    other.load_state_dict(ours.state_dict())
    alone, batch, sizes = images()
    targets, padded = objects()
    matched, _ = matched_by(theirs, alone, targets)
    assert not torch.equal(other.head.assign(other(batch, sizes), padded), matched)


@pytest.mark.parametrize("name", HEADS)
def test_state_dict_goes_to_torchvision_and_back_unchanged(name):
    model = of_torchvision(name, "resnet18")
    theirs = model.state_dict()
    ours = convert_state_dict(theirs, "resnet18", task="detect", head=HEADS[name])
    back = convert_state_dict(
        ours, "resnet18", task="detect", head=HEADS[name], source="visionkit", target="torchvision"
    )
    assert back.keys() == theirs.keys()
    assert all(back[key] is theirs[key] for key in theirs)
    model.load_state_dict(back)
