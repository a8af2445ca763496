"""``head.loss``: factors, keys of losses, and their order."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from visionkit.errors import UserError
from visionkit.heads import read_head
from visionkit.losses.classification import cross_entropy
from visionkit.losses.spec import LABEL_LOSSES, PIXEL_LOSSES, CrossEntropySpec, DiceSpec, loss_terms


def test_terms_are_those_above_zero_in_the_order_of_their_names():
    loss = read_head({"type": "unet", "loss": {"focal": 0.0, "dice": 2.0, "cross_entropy": 1.0}}, task="segment").loss
    head = SimpleNamespace(label_smoothing=0.1, focal_gamma=2.0)
    terms = loss_terms(PIXEL_LOSSES, loss, head)
    assert [(term.name, term.weight) for term in terms] == [("cross_entropy", 1.0), ("dice_loss", 2.0)]


def test_a_factor_is_a_number_or_stands_beside_the_keys_of_the_loss():
    by_number, by_mapping = (
        read_head({"type": "unet", "loss": {"dice": value}}, task="segment").loss for value in (0.5, {"weight": 0.5})
    )
    assert by_number == by_mapping == (DiceSpec(weight=0.5),)


def test_cross_entropy_weighs_classes_and_smooths_labels_as_torch_does():
    logits, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 2, 1, 0])
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = F.cross_entropy(logits, labels, weight=weights, label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(logits, labels, class_weights=weights, label_smoothing=0.1), expected)
    (term,) = loss_terms(LABEL_LOSSES, [CrossEntropySpec(weight=3.0)], SimpleNamespace(label_smoothing=0.1))
    torch.testing.assert_close(term(logits, labels, weights), 3 * expected)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            ["dice"],
            "head.loss: expected a mapping of losses to their factors, such as {cross_entropy: 1.0}; found",
        ),
        ({}, "head.loss: all factors are 0, so there is nothing to minimise"),
        ({"dice": -1.0}, "head.loss.dice: expected a number from 0 to 1000000, found -1.0"),
        ({"dice": {"weight": 1.0, "smooth": 1}}, "head.loss.dice: unknown key 'smooth'"),
        ({"dice": "much"}, 'head.loss.dice: expected a number, found "much"'),
    ],
)
def test_wrong_losses_are_errors_that_name_them(loss, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read_head({"type": "unet", "loss": loss}, task="segment")
