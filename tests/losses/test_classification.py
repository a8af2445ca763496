"""Losses of labels and label sets where images have shares of classes."""

import pytest
import torch
from torch.nn import functional as F

from visionkit.losses.classification import binary_cross_entropy, cross_entropy

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(8, 4, generator=GENERATOR)
SHARES = torch.rand(8, 4, generator=GENERATOR).softmax(dim=1)
WEIGHTS = torch.tensor([1.0, 5.0, 0.5, 2.0])


def test_shares_count_as_in_the_formula_with_weights_and_smoothing():
    targets = 0.9 * SHARES + 0.1 / 4
    expected = -(targets * WEIGHTS * LOGITS.log_softmax(dim=1)).sum(dim=1).mean()
    found = cross_entropy(LOGITS, SHARES, class_weights=WEIGHTS, label_smoothing=0.1)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_whole_shares_are_labels():
    labels = torch.arange(8) % 4
    one_hot = F.one_hot(labels, 4).float()
    assert cross_entropy(LOGITS, one_hot).item() == pytest.approx(cross_entropy(LOGITS, labels).item(), rel=1e-6)


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_shares_keep_their_digits_whatever_the_type_of_the_logits(loss, dtype):
    logits = LOGITS.to(dtype)
    assert loss(logits, SHARES).item() == pytest.approx(loss(logits.double(), SHARES.double()).item(), rel=1e-6)


def test_shares_of_label_sets_are_targets_between_0_and_1():
    p = LOGITS.sigmoid()
    targets = 0.9 * SHARES + 0.05
    expected = -(WEIGHTS * targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    found = binary_cross_entropy(LOGITS, SHARES, class_weights=WEIGHTS, label_smoothing=0.1)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
