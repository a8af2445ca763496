"""Mixup and cutmix of a batch, against ``torchvision.transforms.v2``."""

import pytest
import torch
from torchvision.transforms import v2

from visionkit.data.augment.mixing import BatchMixing, cutmix, mixup, pair
from visionkit.settings import Mix

SIZE = (12, 20)


def mixing(*, target="label", num_classes=5, epochs=10, seed=3, **changes):
    values = {"mixup": 0.4, "cutmix": 1.0, "p": 1.0, "off_last": 0.0, **changes}
    return BatchMixing(Mix(**values), target=target, num_classes=num_classes, seed=seed, epochs=epochs)


def batch_of(count, *, target="label", num_classes=5):
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, num_classes, (count,), generator=generator)
    sets = torch.randint(0, 2, (count, num_classes), dtype=torch.uint8, generator=generator)
    return {"images": images, target: labels if target == "label" else sets, "index": torch.arange(count)}


def draws(mixing, steps=400, epoch=0):
    return [mixing.draw(epoch, step, SIZE) for step in range(steps)]


def torchvisions(draw, images, labels, num_classes):
    """What torchvision makes of each image and its partner, which it takes to be the one before."""
    cls, params = (v2.MixUp, {"lam": draw.share}) if draw.box is None else (v2.CutMix, {"lam_adjusted": draw.share})
    if draw.box is not None:
        top, left, bottom, right = draw.box
        params["box"] = (left, top, right, bottom)
    transform = cls(num_classes=num_classes)
    transform.make_params = lambda inputs: params
    pairs = zip(images, pair(images), labels, pair(labels), strict=True)
    made = [transform(torch.stack([a, b]), torch.stack([x, y])) for a, b, x, y in pairs]
    return torch.stack([image[0] for image, _ in made]), torch.stack([soft[0] for _, soft in made])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("count", [2, 6, 7])
def test_images_and_shares_are_those_of_torchvision(kind, count):
    change = mixing(**{other: 0.0 for other in ("mixup", "cutmix") if other != kind})
    batch = batch_of(count)
    draw = change.draw(2, 5, SIZE)
    mixed = change(batch, epoch=2, step=5)
    images, shares = torchvisions(draw, batch["images"].float(), batch["label"], 5)
    assert 0 < draw.share < 1
    # float32, values up to 255, one product and one sum in another order
    assert torch.allclose(mixed["images"].float(), images, atol=1e-4)
    assert torch.allclose(mixed["label"], shares, atol=1e-6)
    assert mixed["images"].dtype == (torch.float32 if kind == "mixup" else torch.uint8)
    assert torch.equal(mixed["index"], batch["index"])


def test_the_batch_itself_is_left_as_it_was():
    batch = batch_of(4)
    before = {name: value.clone() for name, value in batch.items()}
    for step in range(6):
        mixing()(batch, epoch=0, step=step)
    assert all(torch.equal(batch[name], before[name]) for name in batch)


def test_label_sets_are_mixed_like_images():
    change, batch = mixing(target="label_set", cutmix=0.0), batch_of(6, target="label_set")
    share = change.draw(0, 1, SIZE).share
    expected = share * batch["label_set"].float() + (1 - share) * batch["label_set"].float().roll(3, 0)
    assert torch.allclose(change(batch, epoch=0, step=1)["label_set"], expected, atol=1e-6)


def test_the_share_of_cutmix_is_that_of_the_pixels():
    images = torch.zeros(2, 1, *SIZE)
    images[1] = 1
    for draw in draws(mixing(mixup=0.0), 50):
        assert cutmix(images, draw.box)[0].mean().item() == pytest.approx(1 - draw.share, abs=1e-6)


def test_mixup_is_a_mean_with_its_partner():
    values = torch.tensor([0.0, 10.0, 20.0, 30.0])
    assert mixup(values, 0.75).tolist() == [5.0, 15.0, 15.0, 25.0]


def test_shares_are_beta_distributed():
    shares = torch.tensor([draw.share for draw in draws(mixing(mixup=0.2, cutmix=0.0), 2000)])
    # mean 1/2 and variance 1 / (4 (2 alpha + 1)) of Beta(alpha, alpha); 4 standard errors of 2000 draws
    assert shares.mean().item() == pytest.approx(0.5, abs=0.04)
    assert shares.var().item() == pytest.approx(1 / (4 * 1.4), abs=0.02)


def test_each_kind_comes_in_half_of_the_mixed_batches_and_p_says_how_many_these_are():
    found = draws(mixing(p=0.5, mixup=1.0), 1000)
    mixed = [draw for draw in found if draw is not None]
    assert 440 < len(mixed) < 560  # four standard deviations of 16
    assert 0.4 < sum(draw.box is None for draw in mixed) / len(mixed) < 0.6


def test_what_is_drawn_depends_on_seed_epoch_and_step_alone():
    assert draws(mixing(), 20) == draws(mixing(), 20)
    others = [draws(mixing(seed=4), 20), draws(mixing(), 20, epoch=1), draws(mixing(), 21)[1:]]
    assert all(draws(mixing(), 20) != other for other in others)


@pytest.mark.parametrize(
    ("epochs", "off_last", "mixed"), [(10, 0.1, 9), (10, 0.0, 10), (3, 0.34, 2), (5, 0.1, 5), (2, 1.0, 0)]
)
def test_the_last_share_of_the_epochs_is_not_mixed(epochs, off_last, mixed):
    change = mixing(epochs=epochs, off_last=off_last)
    assert [change.draw(epoch, 0, SIZE) is not None for epoch in range(epochs)] == [
        epoch < mixed for epoch in range(epochs)
    ]


def test_a_batch_that_is_not_mixed_is_the_same_object():
    batch = batch_of(4)
    assert mixing(p=0.0)(batch, epoch=0, step=0) is batch


@pytest.mark.parametrize("processes", [2, 4])
def test_images_are_mixed_alike_on_any_number_of_processes(processes):
    batch, change = batch_of(16), mixing()
    for step in range(4):
        whole = change(batch, epoch=1, step=step)
        for rank in range(processes):
            part = {name: value[rank::processes] for name, value in batch.items()}  # as BatchSampler divides it
            mixed = change(part, epoch=1, step=step)
            assert all(torch.equal(mixed[name], whole[name][rank::processes]) for name in mixed)
