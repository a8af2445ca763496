"""Trains segmentation_models_pytorch's U-Net on CamVid for so many minutes: what ours is compared with.

Nothing of visionkit takes part in training or scoring. The network is theirs, with their ResNet-18 encoder, from
scratch. The settings are ordinary ones: AdamW or SGD, random flips, scales and crops, a warm-up, and a cosine that ends
when the time does; cross-entropy, with Dice beside it where asked for. Images are decoded and resized once, before the
clock starts.

The clock counts training and the validations along the way; the last one comes on top. The epoch that was best on the
validation split by mean IoU is scored once on the test split: logits are interpolated to the original size, and one
confusion matrix is kept for the whole split, without void.
"""

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.runs.environment import describe_environment

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian",
           "bicyclist")  # fmt: skip
VOID = 255
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Split:
    """The images of a split.

    Attributes:
        images: (N, 3, h, w) uint8, as large as the network takes them.
        masks: (N, h, w) uint8 class ids, 255 for void, of that size.
        truth: (N, H, W) uint8, as large as they were.
    """

    images: Tensor
    masks: Tensor
    truth: Tensor


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?", default=Path("../shared/data/camvid"), help="images/ and masks/")
    parser.add_argument("--minutes", type=float, default=20, help="of training and validation (20)")
    parser.add_argument("--images", type=int, help="stop by the images seen, not by the minutes: for a busy machine")
    parser.add_argument("--encoder", default="resnet18", help="their name of it (resnet18)")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 256), metavar=("H", "W"),
                        help="of the images, multiples of 32 (192 256)")  # fmt: skip
    parser.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw", help="(adamw)")
    parser.add_argument("--lr", type=float, default=1e-3, help="highest learning rate (1e-3)")
    parser.add_argument("--batch", type=int, default=8, help="images per step (8)")
    parser.add_argument("--warmup", type=float, default=0.05, help="share of the time (0.05)")
    parser.add_argument("--scales", type=float, nargs=2, default=(1.0, 1.0), metavar=("LOW", "HIGH"),
                        help="random enlargement, cut to the size (1 1: none)")  # fmt: skip
    parser.add_argument("--dice", type=float, default=0.0, help="weight of the Dice loss beside the cross-entropy (0)")
    parser.add_argument("--validate-every", type=int, default=3, metavar="EPOCHS", help="(3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (2)")
    parser.add_argument("--seed", type=int, default=0, help="(0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    splits = {name: read_split(options.root, name, tuple(options.size)) for name in ("train", "val", "test")}
    model = make_model(options.encoder)
    figures = train(model, splits["train"], splits["val"], options)
    figures["test"] = score(model, splits["test"])
    figures["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    figures["options"] = {key: str(value) for key, value in vars(options).items() if key not in ("json", "root")}
    figures["environment"] = describe_environment()
    figures["environment"]["versions"]["segmentation_models_pytorch"] = version("segmentation_models_pytorch")
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


def read_split(root: Path, name: str, size: tuple[int, ...]) -> Split:
    """The images below ``images/NAME`` with their masks, decoded and resized."""
    images, masks, truth = [], [], []
    for path in sorted((root / "images" / name).iterdir()):
        mask = np.asarray(Image.open(root / "masks" / name / f"{path.stem}.png"))
        mask = np.where(mask < len(CLASSES), mask, VOID).astype(np.uint8)
        small = (size[1], size[0])
        images.append(np.asarray(Image.open(path).convert("RGB").resize(small, Image.Resampling.BILINEAR)))
        masks.append(np.asarray(Image.fromarray(mask).resize(small, Image.Resampling.NEAREST)))
        truth.append(mask)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return Split(stacked, torch.from_numpy(np.stack(masks)), torch.from_numpy(np.stack(truth)))


def make_model(encoder: str) -> nn.Module:
    """Their U-Net with the decoder widths they give it, and no weights to start from."""
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        sys.exit("segmentation_models_pytorch is not installed. Try: pip install segmentation-models-pytorch")
    model: nn.Module = smp.Unet(encoder, encoder_weights=None, in_channels=3, classes=len(CLASSES))
    return model.to(memory_format=torch.channels_last)  # the quicker layout on a CPU


def train(model: nn.Module, data: Split, val: Split, options: argparse.Namespace) -> dict[str, Any]:
    """Train until the time is over; the model is left with the weights of its best epoch."""
    if options.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.05)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9, nesterov=True, weight_decay=1e-4)
    count = len(data.images)
    start, skipped = time.perf_counter(), count % options.batch
    best: dict[str, Any] = {"mean_iou": -1.0}
    weights: dict[str, Tensor] = {}
    epoch = images = 0
    progress = 0.0
    while progress < 1:
        model.train()
        epoch += 1
        losses = []
        for indices in torch.split(torch.randperm(count)[skipped:], options.batch):
            seconds = time.perf_counter() - start
            progress = images / options.images if options.images else seconds / (60 * options.minutes)
            if progress >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = options.lr * share_of_rate(progress, options.warmup)
            pixels, truth = augmented(data.images[indices], data.masks[indices], tuple(options.scales))
            loss = loss_of(model(prepared(pixels)), truth, options.dice)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            images += len(indices)
        if progress < 1 and epoch % options.validate_every:
            continue
        record = {"epoch": epoch, "seconds": round(time.perf_counter() - start, 1), "images": images}
        record |= {"loss": round(sum(losses) / max(len(losses), 1), 4), "mean_iou": score(model, val)["mean_iou"]}
        print(json.dumps(record), file=sys.stderr, flush=True)
        if record["mean_iou"] > best["mean_iou"]:
            best, weights = record, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    return {"images_seen": images, "best_on_validation": best}


def share_of_rate(progress: float, warmup: float) -> float:
    """The learning rate after a share of the time, as a share of its highest: linear up, then half a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def augmented(images: Tensor, masks: Tensor, scales: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Each image flipped at random from left to right, enlarged at random, and cut to its size; the mask with it."""
    pairs = []
    height, width = masks.shape[1:]
    for image, mask in zip(images, masks, strict=True):
        if torch.rand(()) < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        scale = float(torch.empty(()).uniform_(*scales))
        if scale > 1:
            size = (round(height * scale), round(width * scale))
            top, left = (int(torch.randint(0, large - small + 1, ())) for large, small in
                         zip(size, (height, width), strict=True))  # fmt: skip
            image = F.interpolate(image[None].float(), size, mode="bilinear")[0].round().to(torch.uint8)
            mask = F.interpolate(mask[None, None], size, mode="nearest-exact")[0, 0]
            image, mask = (x[..., top : top + height, left : left + width] for x in (image, mask))
        pairs.append((image, mask))
    return torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])


def prepared(images: Tensor) -> Tensor:
    """What the encoder takes: (B, 3, h, w) normalised as ImageNet's images are."""
    x = (images.float() / 255 - MEAN[:, None, None]) / STD[:, None, None]
    return x.contiguous(memory_format=torch.channels_last)


def loss_of(logits: Tensor, masks: Tensor, dice: float) -> Tensor:
    """Cross-entropy, and soft Dice times a weight, over the pixels that are not void."""
    loss = F.cross_entropy(logits, masks.long(), ignore_index=VOID)
    if not dice:
        return loss
    valid = (masks != VOID)[:, None]
    probabilities = logits.softmax(dim=1) * valid
    truth = F.one_hot(masks.long().clamp(max=len(CLASSES)), len(CLASSES) + 1)[..., :-1].permute(0, 3, 1, 2)
    intersection, total = ((probabilities * truth).sum(dim=(0, 2, 3)), (probabilities + truth).sum(dim=(0, 2, 3)))
    present = truth.sum(dim=(0, 2, 3)) > 0
    return loss + dice * (1 - 2 * intersection[present] / total[present]).mean()


def score(model: nn.Module, data: Split, batch: int = 8) -> dict[str, Any]:
    """Mean IoU, IoU of each class and pixel accuracy at the original size."""
    model.eval()
    num_classes = len(CLASSES)
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)  # rows: truth
    with torch.inference_mode():
        for start in range(0, len(data.images), batch):
            truth = data.truth[start : start + batch]
            logits = model(prepared(data.images[start : start + batch]))
            logits = F.interpolate(logits, tuple(truth.shape[1:]), mode="bilinear", align_corners=False)
            valid = (truth != VOID).numpy()
            pairs = truth.numpy()[valid].astype(np.int64) * num_classes + logits.argmax(dim=1).numpy()[valid]
            counts += np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    correct = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - correct
    iou = {name: correct[i] / union[i] for i, name in enumerate(CLASSES) if union[i]}
    return {
        "mean_iou": round(float(np.mean(list(iou.values()))), 4),
        "pixel_accuracy": round(float(correct.sum() / counts.sum()), 4),
        "iou": {name: round(float(value), 4) for name, value in iou.items()},
    }


if __name__ == "__main__":
    main()
