"""The losses of an evaluation: of every head the same in batches of any size and on any number of processes."""

from functools import partial

import pytest
import torch

from tests.heads.test_contract import SMALL
from tests.helpers.process_group import run_in_group
from visionkit.heads import HEADS
from visionkit.models import create_model
from visionkit.tasks.loss_totals import LossTotals

NUM_IMAGES, NUM_CLASSES, SIZE = 16, 3, 64
TERMS = {"loss": {"cross_entropy": 1.0, "dice": 0.5, "focal": 2.0}}
WEIGHTS = {"class_weights": [1.0, 4.0, 0.5], "label_smoothing": 0.1}


def _samples():
    """Images with one to three objects or none, and pixels of which some are ignored."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 36, (NUM_IMAGES, 3, 2), generator=generator).float()
    boxes = torch.cat([corners, corners + torch.randint(8, 28, (NUM_IMAGES, 3, 2), generator=generator)], dim=2)
    labels = torch.randint(-1, NUM_CLASSES, (NUM_IMAGES, 3), generator=generator)
    labels[0] = -1
    rows = torch.arange(SIZE)
    inside = (rows >= boxes[..., :2, None]) & (rows < boxes[..., 2:, None])  # (N, M, 2, S): x, y
    mask = torch.randint(0, NUM_CLASSES, (NUM_IMAGES, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    mask[1], mask[2:6, 10:], mask[6:10][mask[6:10] == 2] = 255, 255, 0
    return {
        "images": torch.randint(0, 256, (NUM_IMAGES, 1, SIZE, SIZE), dtype=torch.uint8, generator=generator),
        "label": torch.randint(0, NUM_CLASSES, (NUM_IMAGES,), generator=generator),
        "label_set": torch.randint(0, 2, (NUM_IMAGES, NUM_CLASSES), dtype=torch.uint8, generator=generator),
        "boxes": boxes,
        "labels": labels,
        "masks": inside[:, :, 1, :, None] & inside[:, :, 0, None] & (labels >= 0)[..., None, None],
        "mask": mask,
        "index": torch.arange(NUM_IMAGES),
    }


SAMPLES = _samples()


def _model(head):
    torch.manual_seed(0)
    task = HEADS.get(head).task
    values = {
        **SMALL[head],
        **(WEIGHTS if task in ("classify", "segment") else {}),
        **(TERMS if task == "segment" else {}),
    }
    return create_model(
        task, "lenet", num_classes=NUM_CLASSES, head={"type": head, **values}, image_size=(SIZE, SIZE), in_channels=1
    ).eval()


@torch.no_grad()
def _totals(model, size, images=slice(None)):
    totals = LossTotals()
    parts = [value[images].split(size) for value in SAMPLES.values()]
    for values in zip(*parts, strict=True):
        batch = dict(zip(SAMPLES, values, strict=True))
        totals.update(model.loss_sums(model(batch["images"]), batch))
    return totals


def _values(totals):
    return {name: value.item() for name, value in totals.means().items()}


@pytest.mark.parametrize("head", SMALL)
def test_losses_of_batches_of_one_three_and_all_images_agree(head):
    model = _model(head)
    whole = _values(_totals(model, NUM_IMAGES))
    assert whole["loss"] > 0.01
    for size in (1, 3):
        assert _values(_totals(model, size)) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("head", SMALL)
def test_the_losses_of_one_batch_are_those_that_training_minimises(head):
    model = _model(head)
    outputs = model(SAMPLES["images"])
    expected = {name: loss.item() for name, loss in model.loss(outputs, SAMPLES).items()}
    found = {name: sums.value().item() for name, sums in model.loss_sums(outputs, SAMPLES).items()}
    assert found == pytest.approx(expected, rel=1e-5)


def _shares(rank, world_size, models):
    """The losses by head that the first process has of all images, each process with every second one."""
    found = []
    for model in models:
        totals = _totals(model, 3, slice(rank, None, world_size))
        totals.gather()
        found.append(_values(totals))
    return found


@pytest.mark.slow
def test_losses_of_two_processes_are_those_of_one(tmp_path):
    models = [_model(head) for head in ("linear", "multilabel", "fcos", "retinanet", "faster_rcnn", "mask_rcnn", "fcn")]
    work = partial(_shares, world_size=2, models=models)
    found = run_in_group(2, work, folder=tmp_path)[0]
    for model, values in zip(models, found, strict=True):
        assert values == pytest.approx(_values(_totals(model, NUM_IMAGES)), rel=1e-6)
