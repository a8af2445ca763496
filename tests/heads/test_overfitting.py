"""A model that cannot learn a few scenes by heart has a fault."""

import numpy
import pytest
import torch
import yaml

from tests.helpers.paths import CONF
from visionkit import create_model
from visionkit.data.collate.detection import DetectionBatchReader
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.sources import parse_source
from visionkit.metrics.detection import DetectionMetrics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "max_lr", "steps"), [("fcos", 4e-3, 60), ("retinanet", 5e-3, 90), ("faster_rcnn", 4e-3, 70)]
)
def test_every_head_as_it_is_shipped_learns_4_digit_scenes_by_heart(name, max_lr, steps):
    source = parse_source(yaml.safe_load((CONF / "dataset/digits.yaml").read_text(encoding="utf-8"))).for_target(
        "boxes"
    )
    samples = source.splits(seed=0).samples["train"]
    batch = DetectionBatchReader(samples, source.input_transform(), training=False).read((numpy.arange(4), 0))
    head = yaml.safe_load((CONF / f"head/{name}.yaml").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    model = create_model("detect", "lenet", num_classes=10, head=head, in_channels=1, image_size=128)
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
    source = parse_source(yaml.safe_load((CONF / "dataset/digits.yaml").read_text(encoding="utf-8"))).for_target("mask")
    samples = source.splits(seed=0).samples["train"]
    batch = SegmentationBatchReader(samples, source.input_transform(), training=False).read((numpy.arange(2), 0))
    head = yaml.safe_load((CONF / "head/unet.yaml").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    model = create_model("segment", "resnet18", num_classes=11, head=head, in_channels=1, image_size=128)
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
