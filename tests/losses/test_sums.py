"""Losses as sums over images: those of several batches give the loss of all their images as one."""

import pytest
import torch

from visionkit.losses.classification import binary_cross_entropy, cross_entropy
from visionkit.losses.segmentation import dice_loss, pixel_cross_entropy, pixel_focal_loss
from visionkit.losses.spec import LossSpec, loss_terms
from visionkit.losses.sums import LossSums, sums_function
from visionkit.registry import Registry

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(16, 3, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.randint(0, 3, (16,), generator=GENERATOR)
SETS = torch.randint(0, 2, (16, 3), generator=GENERATOR, dtype=torch.uint8)
MAPS = torch.randn(16, 3, 6, 5, generator=GENERATOR, dtype=torch.float64)
MASKS = torch.randint(0, 3, (16, 6, 5), generator=GENERATOR, dtype=torch.uint8)
MASKS[0], MASKS[1:9, 2:], MASKS[9:][MASKS[9:] == 2] = 255, 255, 0  # an image without pixels, images without a class
WEIGHTS = torch.tensor([1.0, 5.0, 0.5])
CASES = [
    (cross_entropy, LOGITS, LABELS, {}),
    (cross_entropy, LOGITS, LABELS, {"class_weights": WEIGHTS, "label_smoothing": 0.1}),
    (binary_cross_entropy, LOGITS, SETS, {"class_weights": WEIGHTS, "label_smoothing": 0.1}),
    (pixel_cross_entropy, MAPS, MASKS, {"class_weights": WEIGHTS, "label_smoothing": 0.1}),
    (pixel_focal_loss, MAPS, MASKS, {"class_weights": WEIGHTS, "gamma": 1.5}),
    (dice_loss, MAPS, MASKS, {}),
]


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize(("loss", "logits", "targets", "options"), CASES)
def test_sums_of_batches_of_any_size_give_the_loss_of_all_images_as_one_batch(loss, logits, targets, options, size):
    sums = sums_function(loss)
    batches = zip(logits.split(size), targets.split(size), strict=True)
    totals = sum(sums(*batch, **options).stacked() for batch in batches)
    assert LossSums.of_totals(totals).value() == pytest.approx(loss(logits, targets, **options).item(), rel=1e-12)


def test_a_mean_over_the_classes_that_occur_leaves_out_the_others():
    sums = LossSums(torch.tensor([1.0, 6.0, 3.0]), torch.tensor([4.0, 8.0, 3.0]), present=torch.tensor([2, 1, 0]))
    assert sums.value().item() == pytest.approx((0.25 + 0.75) / 2)
    assert sums.scaled(2.0).value().item() == pytest.approx(1.0)


def test_a_mean_of_nothing_counts_as_nothing_though_it_is_no_number():
    nothing, some = LossSums.of_mean(torch.tensor(float("nan")), 0), LossSums.of_mean(torch.tensor(0.5), 4)
    assert LossSums.of_totals(nothing.stacked() + some.stacked()).value().item() == 0.5


class _SmallestSpec(LossSpec):
    """A loss without sums."""


def test_a_loss_of_a_plugin_without_sums_is_the_mean_of_the_losses_of_single_images():
    registry = Registry("loss", base=LossSpec)
    registry.register("smallest", module="tests.losses.test_sums:smallest")(_SmallestSpec)
    (term,) = loss_terms(registry, [_SmallestSpec(weight=2.0)], None)
    chosen = LOGITS.gather(1, LABELS[:, None])
    assert term.sums(LOGITS, LABELS, None).value().item() == pytest.approx(2 * chosen.mean().item())
    assert term(LOGITS, LABELS, None).item() == 2 * chosen.min().item()


def smallest(logits, labels):
    return logits.gather(1, labels[:, None]).min()
