"""Heads that give each image any number of classes."""

import pytest
import torch
from torch.nn import functional as F

from visionkit import create_model
from visionkit.errors import UserError
from visionkit.losses.classification import binary_cross_entropy


@pytest.mark.parametrize(("head", "twin"), [("multilabel", "auto"), ("multilabel_linear", "linear")])
def test_the_layers_are_those_of_the_head_for_one_class(head, twin):
    shapes = [
        {name: tuple(p.shape) for name, p in create_model(task, "lenet", num_classes=5, head=name).named_parameters()}
        for task, name in (("multilabel", head), ("classify", twin))
    ]
    assert shapes[0] == shapes[1]


def test_loss_is_torchs_binary_cross_entropy_with_smoothing_and_weights():
    weights = [0.5, 1.0, 2.0]
    model = create_model(
        "multilabel",
        "lenet",
        num_classes=3,
        head={"type": "multilabel", "label_smoothing": 0.1, "class_weights": weights},
    )
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    label_sets = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]], dtype=torch.uint8)
    targets = torch.where(label_sets == 1, 0.95, 0.05)
    expected = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=torch.tensor(weights))
    torch.testing.assert_close(model.loss({"logits": logits}, {"label_set": label_sets})["loss"], expected)


def test_the_loss_of_one_image_and_class_is_minus_the_log_of_its_probability():
    logits, label_sets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]], dtype=torch.uint8)
    expected = -(torch.tensor(2.0).sigmoid().log() + torch.tensor(1.0).sigmoid().log()) / 2
    torch.testing.assert_close(binary_cross_entropy(logits, label_sets), expected)


def test_predictions_are_a_probability_per_class():
    model = create_model("multilabel", "lenet", num_classes=3)
    predictions = model.predict({"logits": torch.tensor([[0.0, 2.0, -1.0]])})
    torch.testing.assert_close(predictions["probabilities"], torch.tensor([[0.5, 0.880797, 0.268941]]))


def test_a_head_for_one_class_is_refused_and_those_that_fit_are_named():
    with pytest.raises(UserError, match=r"serves task 'classify', not 'multilabel'.*multilabel, multilabel_linear"):
        create_model("multilabel", "lenet", num_classes=3, head="linear")
