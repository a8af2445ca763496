"""Losses of masks against torch's own over the pixels that count, against torchvision's, and against sets."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from visionkit.losses.segmentation import dice_loss, pixel_cross_entropy, pixel_focal_loss

WEIGHTS = torch.tensor([1.0, 2.0, 0.0, 0.5], dtype=torch.float64)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 9, 7, generator=generator, dtype=torch.float64) * 3
    mask = torch.randint(0, 4, (2, 9, 7), generator=generator, dtype=torch.uint8)
    mask[torch.rand(2, 9, 7, generator=generator) < 0.3] = 255
    return logits.requires_grad_(), mask


def counted(logits, mask):
    """The logits (N, K) and classes (N,) of the pixels that count."""
    return logits.permute(0, 2, 3, 1)[mask != 255], mask[mask != 255].long()


def assert_same(loss, expected, logits):
    torch.testing.assert_close(loss, expected)
    gradients = [torch.autograd.grad(one, logits, retain_graph=True)[0] for one in (loss, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_over_the_pixels_that_count(weights, smoothing):
    logits, mask = batch()
    loss = pixel_cross_entropy(logits, mask, class_weights=weights, label_smoothing=smoothing)
    expected = F.cross_entropy(*counted(logits, mask), weight=weights, label_smoothing=smoothing)
    assert_same(loss, expected, logits)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_focal_loss_of_two_classes_is_torchvisions_of_their_difference(gamma):
    logits, mask = batch()
    mask = torch.where(mask == 255, mask, mask % 2)
    logits = logits[:, :2]
    few, classes = counted(logits, mask)
    expected = sigmoid_focal_loss(few[:, 1] - few[:, 0], classes.double(), alpha=-1, gamma=gamma, reduction="mean")
    assert_same(pixel_focal_loss(logits, mask, gamma=gamma), expected, logits)


def test_focal_loss_takes_a_weighted_mean():
    logits, mask = batch()
    few, classes = counted(logits, mask)
    p = few.softmax(1).gather(1, classes[:, None])[:, 0]
    expected = (WEIGHTS[classes] * (1 - p) ** 2 * -p.log()).sum() / WEIGHTS[classes].sum()
    assert_same(pixel_focal_loss(logits, mask, class_weights=WEIGHTS), expected, logits)


def test_dice_of_sure_answers_is_that_of_sets():
    """2 |A and B| / (|A| + |B|) of the sets of pixels, the mean over the classes that occur."""
    _, mask = batch()
    mask[mask == 2] = 255
    said = torch.randint(0, 4, mask.shape, generator=torch.Generator().manual_seed(1))
    logits = F.one_hot(said, 4).permute(0, 3, 1, 2).double() * 1e3
    coefficients = []
    for k in (0, 1, 3):
        truth, answer = set(torch.argwhere(mask == k)), set()
        truth = {tuple(p.tolist()) for p in truth}
        answer = {tuple(p.tolist()) for p in torch.argwhere((said == k) & (mask != 255))}
        coefficients.append(2 * len(truth & answer) / (len(truth) + len(answer)))
    assert dice_loss(logits, mask).item() == pytest.approx(1 - sum(coefficients) / 3)


def test_dice_of_unsure_answers_counts_probabilities():
    logits, mask = batch()
    few, classes = counted(logits, mask)
    p, truth = few.softmax(1), F.one_hot(classes, 4)
    expected = (1 - 2 * (p * truth).sum(0) / (p.sum(0) + truth.sum(0))).mean()
    assert_same(dice_loss(logits, mask), expected, logits)


@pytest.mark.parametrize("loss", [pixel_cross_entropy, pixel_focal_loss, dice_loss])
def test_where_no_pixel_counts_loss_and_gradient_are_zero(loss):
    logits, mask = batch()
    value = loss(logits, torch.full_like(mask, 255))
    value.backward()
    assert value == 0
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("loss", [pixel_cross_entropy, pixel_focal_loss, dice_loss])
def test_what_is_said_of_ignored_pixels_changes_nothing(loss):
    logits, mask = batch()
    other = torch.where((mask == 255)[:, None], 50.0, logits)
    torch.testing.assert_close(loss(other, mask), loss(logits, mask))


@pytest.mark.parametrize("loss", [pixel_cross_entropy, pixel_focal_loss, dice_loss])
def test_extreme_logits_give_finite_losses_and_gradients(loss):
    logits = torch.tensor([-300.0, 300.0, 0.0])[None, :, None, None].repeat(1, 1, 1, 2).requires_grad_()
    value = loss(logits, torch.tensor([[[0, 1]]], dtype=torch.uint8))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", [pixel_cross_entropy, pixel_focal_loss, dice_loss])
def test_half_precision_is_summed_in_single_precision(loss):
    logits = torch.full((1, 2, 200, 200), 3.0, dtype=torch.bfloat16)
    mask = torch.zeros(1, 200, 200, dtype=torch.uint8)
    torch.testing.assert_close(loss(logits, mask), loss(logits.float(), mask))
