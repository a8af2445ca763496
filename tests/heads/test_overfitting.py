"""A model that cannot learn a few scenes by heart has a fault."""

import pytest
import torch

from tests.helpers.batches import first_samples
from visionkit import create_model
from visionkit.data.collate.detection import DetectionBatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.sources import read_source
from visionkit.metrics.detection import DetectionMetrics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "max_lr", "steps"),
    [("fcos_small", 4e-3, 60), ("retinanet_small", 5e-3, 90), ("faster_rcnn_small", 4e-3, 70)],
)
def test_every_small_head_learns_4_digit_scenes_by_heart(name, max_lr, steps):
    source = read_source("digits").for_target("boxes")
    samples = source.splits(seed=0).samples["train"]
    batch = DetectionBatchReader(samples, source.input_transform(), training=False).read(first_samples(4))
    torch.manual_seed(0)
    model = create_model("detect", "lenet", num_classes=10, head=name, in_channels=1, image_size=128)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        losses = model.loss(model(batch["images"], batch["image_sizes"]), batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    metrics = DetectionMetrics(source.info().class_names)
    model.eval()
    with torch.no_grad():
        outputs = model(batch["images"], batch["image_sizes"])
        metrics.update(model.predict(outputs, batch["image_sizes"]), batch)
    assert metrics.scalars()["map_50"] >= 0.95


@pytest.mark.slow
def test_unet_learns_2_digit_scenes_by_heart():
    source = read_source("digits").for_target("mask")
    samples = source.splits(seed=0).samples["train"]
    batch = SegmentationBatchReader(samples, source.input_transform(), training=False).read(first_samples(2))
    torch.manual_seed(0)
    model = create_model("segment", "resnet18", num_classes=11, in_channels=1, image_size=128)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=80, pct_start=0.2)
    for _ in range(80):
        losses = model.loss(model(batch["images"], batch["image_sizes"]), batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        outputs = model(batch["images"], batch["image_sizes"])
        found = model.predict(outputs, batch["image_sizes"])["mask"]
    truth, scores = batch["mask"], []
    for k in truth[truth != 255].unique():
        true, said = truth == k, (found == k) & (truth != 255)
        scores.append((true & said).sum() / (true | said).sum())
    assert len(scores) > 5
    assert torch.stack(scores).mean() >= 0.95
