"""Heads that give each image one class, or any number."""

import pytest
import torch
from torch.nn import functional as F

from visionkit import create_model
from visionkit.errors import UserError
from visionkit.losses.classification import binary_cross_entropy


def images(n=4, channels=1, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("head", ["auto", "linear", "mlp", "conv", {"type": "mlp", "hidden": [8, 4], "dropout": 0.2}])
def test_every_head_gives_one_number_per_class(head):
    model = create_model("classify", "resnet20", num_classes=7, head=head)
    assert model(images(channels=3))["logits"].shape == (4, 7)


def test_auto_builds_what_the_paper_says():
    layers = create_model("classify", "alexnet", num_classes=1000).head.layers
    shapes = [tuple(m.weight.shape) for m in layers if isinstance(m, torch.nn.Linear)]
    assert shapes == [(4096, 9216), (4096, 4096), (1000, 4096)]
    assert [type(m).__name__ for m in layers][2:5] == ["Dropout", "Linear", "ReLU"]


def test_a_flattening_head_is_sized_by_the_arithmetic():
    model = create_model("classify", "lenet", num_classes=10, image_size=(40, 28))
    assert model.head.layers.hidden1.in_features == 16 * 7 * 4
    x = torch.zeros(2, 1, 40, 28, dtype=torch.uint8)
    assert model(x)["logits"].shape == (2, 10)


def test_a_flattening_head_refuses_another_image_size_in_words():
    model = create_model("classify", "lenet", num_classes=10)
    with pytest.raises(ValueError, match=r"flattens a 5x5 map, but images of 40x40 pixels give 7x7"):
        model(images(size=40))


def test_loss_is_torchs_cross_entropy_with_smoothing_and_weights():
    weights = [0.5, 1.0, 2.0]
    model = create_model("classify", "resnet20", num_classes=3,
                         head={"type": "auto", "label_smoothing": 0.1, "class_weights": weights})  # fmt: skip
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = F.cross_entropy(logits, labels, weight=torch.tensor(weights), label_smoothing=0.1)
    assert model.loss({"logits": logits}, {"label": labels})["loss"] == expected


def test_predictions_are_probabilities_with_the_most_likely_label():
    model = create_model("classify", "lenet", num_classes=3)
    predictions = model.predict({"logits": torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])})
    assert predictions["labels"].tolist() == [1, 0]
    torch.testing.assert_close(predictions["probabilities"].sum(1), torch.ones(2))
    torch.testing.assert_close(predictions["scores"], predictions["probabilities"].max(1).values)


@pytest.mark.parametrize(("head", "twin"), [("multilabel", "auto"), ("multilabel_linear", "linear")])
def test_the_layers_are_those_of_the_head_for_one_class(head, twin):
    shapes = [
        {name: tuple(p.shape) for name, p in create_model(task, "lenet", num_classes=5, head=name).named_parameters()}
        for task, name in (("multilabel", head), ("classify", twin))
    ]
    assert shapes[0] == shapes[1]


def test_the_loss_of_several_classes_is_torchs_binary_cross_entropy_with_smoothing_and_weights():
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


def test_predictions_of_several_classes_are_a_probability_each():
    model = create_model("multilabel", "lenet", num_classes=3)
    predictions = model.predict({"logits": torch.tensor([[0.0, 2.0, -1.0]])})
    torch.testing.assert_close(predictions["probabilities"], torch.tensor([[0.5, 0.880797, 0.268941]]))


def test_a_head_for_one_class_is_refused_and_those_that_fit_are_named():
    with pytest.raises(UserError, match=r"serves task 'classify', not 'multilabel'.*multilabel, multilabel_linear"):
        create_model("multilabel", "lenet", num_classes=3, head="linear")
