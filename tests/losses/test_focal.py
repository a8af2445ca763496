"""The focal loss and its gradient against torchvision's."""

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from visionkit.losses.focal import focal_loss


def expected(logits, labels, **options):
    targets = torch.zeros_like(logits)
    image, place = (labels >= 0).nonzero(as_tuple=True)
    targets[image, place, labels[image, place]] = 1
    return (sigmoid_focal_loss(logits, targets, **options) * (labels != -2)[..., None]).sum((1, 2))


@pytest.mark.parametrize("options", [{}, {"alpha": 0.6, "gamma": 1.5}, {"alpha": 0.5, "gamma": 0.0}])
def test_loss_and_gradient_equal_torchvisions(options):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 50, 7, generator=generator, dtype=torch.float64) * 5
    labels = torch.randint(-2, 7, (3, 50), generator=generator)
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    results = []
    for loss in (focal_loss, expected):
        x = logits.clone().requires_grad_()
        sums = loss(x, labels, **options)
        (sums * weights).sum().backward()
        results.append((sums.detach(), x.grad))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])


def test_extreme_logits_give_finite_losses_and_gradients():
    logits = torch.tensor([[[-200.0, 200.0], [200.0, -200.0]]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[0, -1]]))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()


def test_half_precision_is_summed_in_single_precision():
    logits = torch.full((1, 40_000, 2), 3.0, dtype=torch.bfloat16)
    labels = torch.full((1, 40_000), -1)
    torch.testing.assert_close(focal_loss(logits, labels), expected(logits.float(), labels))
