"""Trains torchvision's own RetinaNet on a VOC-style folder for so many minutes: what our detectors are compared with.

Nothing of visionkit takes part in training or scoring. The network is torchvision's, from scratch: a ResNet with
ordinary batch norm, since frozen statistics of a network never trained would be no normalisation at all, its
feature pyramid and its head. The settings are ordinary ones: AdamW or SGD, random flips, a warm-up, and a cosine
that ends when the time does. Images are decoded and resized once, before the clock starts.

The clock counts training and the validations along the way; the last one comes on top. The epoch that was best on
the validation split by COCO's mAP is scored once on the test split, in original pixels, by pycocotools.
"""

import argparse
import contextlib
import copy
import io
import json
import math
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.transforms.v2 import functional as V

from visionkit.runs.environment import describe_environment

CLASSES = ("RBC", "WBC", "Platelets")


@dataclass(frozen=True)
class Sample:
    """One image of a split.

    Attributes:
        image: (3, h, w) uint8, its longer side as the network takes it.
        boxes: (n, 4) float32 xyxy in pixels of the original image.
        labels: (n,) int64, 1-based: torchvision keeps 0 for the background.
        size: Height and width of the original image.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor
    size: tuple[int, int]

    @property
    def scale(self) -> Tensor:
        """(4,) factors from original pixels to those of ``image``."""
        height, width = (new / old for new, old in zip(self.image.shape[-2:], self.size, strict=True))
        return torch.tensor([width, height, width, height])


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?", default=Path("../shared/data/bccd"), help="VOC folder (BCCD)")
    parser.add_argument("--minutes", type=float, default=12, help="of training and validation (12)")
    parser.add_argument("--images", type=int, help="stop by the images seen, not by the minutes: for a busy machine")
    parser.add_argument("--depth", choices=["18", "34", "50"], default="18", help="of the ResNet (18)")
    parser.add_argument("--size", type=int, default=320, help="pixels of the longer side (320)")
    parser.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw", help="(adamw)")
    parser.add_argument("--lr", type=float, default=3e-4, help="highest learning rate (3e-4)")
    parser.add_argument("--batch", type=int, default=4, help="images per step (4)")
    parser.add_argument("--warmup", type=float, default=0.05, help="share of the time (0.05)")
    parser.add_argument("--clip-norm", type=float, default=1.0, help="largest norm of the gradient (1)")
    parser.add_argument("--anchors", type=int, default=32, help="pixels of the finest level's smallest anchor (32)")
    parser.add_argument("--validate-every", type=int, default=3, metavar="EPOCHS", help="(3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (2)")
    parser.add_argument("--seed", type=int, default=0, help="(0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    splits = {name: read_split(options.root, name, options.size) for name in ("train", "val", "test")}
    model = make_model(options)
    figures = train(model, splits["train"], splits["val"], options)
    figures["test"] = score(model, splits["test"])
    figures["options"] = {key: str(value) for key, value in vars(options).items() if key not in ("json", "root")}
    figures["environment"] = describe_environment()
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


def read_split(root: Path, name: str, size: int) -> list[Sample]:
    """The images of ``ImageSets/Main/NAME.txt``, decoded and resized; boxes without an area are left out."""
    stems = (root / "ImageSets" / "Main" / f"{name}.txt").read_text(encoding="utf-8").split()
    return [read_sample(root, stem, size) for stem in stems]


def read_sample(root: Path, stem: str, size: int) -> Sample:
    """One image and its annotation."""
    image = decode_image(str(root / "JPEGImages" / f"{stem}.jpg"), mode=ImageReadMode.RGB)
    height, width = image.shape[-2:]
    limits = torch.tensor([width, height, width, height])
    boxes, labels = [], []
    for item in ElementTree.parse(root / "Annotations" / f"{stem}.xml").getroot().iter("object"):
        corners = [float(item.findtext(f"bndbox/{key}", "nan")) for key in ("xmin", "ymin", "xmax", "ymax")]
        box = torch.tensor(corners).clamp(min=1).minimum(limits)
        if (box[2:] > box[:2]).all():
            boxes.append(box - torch.tensor([1.0, 1.0, 0.0, 0.0]))  # VOC counts pixels from 1
            labels.append(1 + CLASSES.index(item.findtext("name", "")))
    small = V.resize(image, [round(side * size / max(height, width)) for side in (height, width)], antialias=True)
    stacked = torch.stack(boxes) if boxes else torch.zeros(0, 4)
    return Sample(small, stacked, torch.tensor(labels, dtype=torch.int64), (height, width))


def make_model(options: argparse.Namespace) -> RetinaNet:
    """As torchvision builds retinanet_resnet50_fpn (levels P3 to P7), from scratch, for this trunk."""
    backbone = resnet_fpn_backbone(
        backbone_name=f"resnet{options.depth}", weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d,
        returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256),
    )  # fmt: skip
    sides = [options.anchors * 2**level for level in range(5)]
    sizes = tuple((side, int(side * 2 ** (1 / 3)), int(side * 2 ** (2 / 3))) for side in sides)
    model = RetinaNet(
        backbone, num_classes=1 + len(CLASSES), min_size=options.size, max_size=options.size, detections_per_img=100,
        anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
    )  # fmt: skip
    return model.to(memory_format=torch.channels_last)  # the quicker layout on a CPU


def train(model: RetinaNet, samples: list[Sample], val: list[Sample], options: argparse.Namespace) -> dict[str, Any]:
    """Train until the time is over; the model is left with the weights of its best epoch."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if options.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=0.05)
    else:
        optimizer = torch.optim.SGD(parameters, lr=options.lr, momentum=0.9, nesterov=True, weight_decay=1e-4)
    start, skipped = time.perf_counter(), len(samples) % options.batch
    best: dict[str, Any] = {"map": -1.0}
    weights: dict[str, Tensor] = {}
    epoch = images = 0
    progress = 0.0
    while progress < 1:
        model.train()
        epoch += 1
        losses = []
        for indices in torch.split(torch.randperm(len(samples))[skipped:], options.batch):
            seconds = time.perf_counter() - start
            progress = images / options.images if options.images else seconds / (60 * options.minutes)
            if progress >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = options.lr * share_of_rate(progress, options.warmup)
            loss = sum(model(*make_batch([samples[index] for index in indices])).values())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, options.clip_norm)
            optimizer.step()
            losses.append(loss.item())
            images += len(indices)
        if progress < 1 and epoch % options.validate_every:
            continue
        record = {"epoch": epoch, "seconds": round(time.perf_counter() - start, 1), "images": images}
        record |= {"loss": round(sum(losses) / max(len(losses), 1), 4), **score(model, val)}
        print(json.dumps(record), file=sys.stderr, flush=True)
        if record["map"] > best["map"]:
            best, weights = record, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    return {"images_seen": images, "best_on_validation": best}


def share_of_rate(progress: float, warmup: float) -> float:
    """The learning rate after a share of the time, as a share of its highest: linear up, then half a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def make_batch(samples: list[Sample]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """What torchvision's detectors take: images (3, h, w) in 0..1, each flipped at random in both directions."""
    pixels, targets = [], []
    for sample in samples:
        image, boxes = sample.image, sample.boxes * sample.scale
        height, width = image.shape[-2:]
        if torch.rand(()) < 0.5:
            image, boxes = image.flip(-1), (torch.tensor([width, 0, width, 0]) - boxes[:, [2, 1, 0, 3]]).abs()
        if torch.rand(()) < 0.5:
            image, boxes = image.flip(-2), (torch.tensor([0, height, 0, height]) - boxes[:, [0, 3, 2, 1]]).abs()
        pixels.append(image.float() / 255)
        targets.append({"boxes": boxes, "labels": sample.labels})
    return pixels, targets


def score(model: RetinaNet, samples: list[Sample], batch: int = 8) -> dict[str, float]:
    """COCO's mAP, AP50 and AP75 of a split, by pycocotools."""
    model.eval()
    predictions: list[dict[str, Tensor]] = []
    with torch.inference_mode():
        for start in range(0, len(samples), batch):
            predictions += model([sample.image.float() / 255 for sample in samples[start : start + batch]])
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for index, (sample, detections) in enumerate(zip(samples, predictions, strict=True), start=1):
        for box, label in zip(as_xywh(sample.boxes), sample.labels.tolist(), strict=True):
            annotations.append({
                "id": len(annotations) + 1, "image_id": index, "category_id": label, "bbox": box,
                "area": box[2] * box[3], "iscrowd": 0,
            })  # fmt: skip
        boxes = as_xywh(detections["boxes"] / sample.scale)
        for box, label, value in zip(boxes, detections["labels"].tolist(), detections["scores"].tolist(), strict=True):
            results.append({"image_id": index, "category_id": label, "bbox": box, "score": value})
    if not results:
        return {"map": 0.0, "map_50": 0.0, "map_75": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": index} for index in range(1, len(samples) + 1)],
            "categories": [{"id": index, "name": name} for index, name in enumerate(CLASSES, start=1)],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: round(float(evaluation.stats[i]), 4) for i, name in enumerate(("map", "map_50", "map_75"))}


def as_xywh(boxes: Tensor) -> list[list[float]]:
    """(n, 4) xyxy as lists of x, y, width, height."""
    rows: list[list[float]] = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
    return rows


if __name__ == "__main__":
    main()
