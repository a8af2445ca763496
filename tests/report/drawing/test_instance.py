"""Pictures of instance segmentation: the training batch with its masks."""

import numpy as np
import torch
from PIL import Image

from visionkit.report.drawing.instance import InstanceDrawing

CLASSES = ("cat", "dog")


def test_the_training_batch_is_drawn_with_its_masks(tmp_path):
    masks = torch.zeros(1, 2, 64, 64, dtype=torch.bool)
    masks[0, 0, 8:24, 8:30] = True
    batch = {
        "images": torch.full((1, 1, 64, 64), 255, dtype=torch.uint8),
        "image_sizes": torch.tensor([[32, 64]]),
        "boxes": torch.tensor([[[8.0, 8.0, 30.0, 24.0], [0.0, 0.0, 0.0, 0.0]]]),
        "labels": torch.tensor([[1, -1]]),
        "masks": masks,
    }
    InstanceDrawing().batch(batch, CLASSES, tmp_path / "batch.png", num_images=1)
    with Image.open(tmp_path / "batch.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)[34:194, 8:]
    assert pixels[5 * 20, 5 * 25].min() < 200  # five times as large
    assert pixels[5 * 28, 5 * 40].tolist() == [255, 255, 255]
