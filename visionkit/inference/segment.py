"""Inference of semantic segmentation: the class of each pixel, from the whole image or by sliding windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from visionkit.data.image_rows import ImageRows
from visionkit.data.images import LoadedImage
from visionkit.errors import UserError
from visionkit.inference.base import Example, Inference, Outputs, autocast
from visionkit.inference.predictions.segmentation import Segmentation
from visionkit.inference.sliding_window import OnProgress, sliding_window_inference
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.structures.masks import restore_logits, restore_masks

__all__ = ["SegmentInference"]

_MASK_BYTES = 4
"""The memory for each pixel of a mask while it is written."""


class SegmentInference(Inference):
    """Predictions are ``mask``: class ids (h, w) uint8."""

    batch_limit = 16
    has_windows = True
    prediction_class = Segmentation

    def check_options(self) -> None:
        self.options.allow("window", "overlap", reason="this run segments: every pixel gets its most likely class.")

    def prepare(self, image: LoadedImage) -> LoadedImage:
        return image

    def predict(self, prepared: Sequence[LoadedImage]) -> list[Outputs]:
        logits, image_sizes = self._logits([fitted for fitted, _ in prepared])
        sizes = [tuple(size) for _, size in prepared]
        with torch.inference_mode():
            masks = restore_masks(logits, image_sizes, torch.tensor(sizes, device=logits.device)).cpu()
        return [{"mask": mask[:height, :width]} for mask, (height, width) in zip(masks, sizes, strict=True)]

    @torch.inference_mode()
    def predict_windows(self, image: ImageRows, *, on_progress: OnProgress = lambda done, total: None) -> Outputs:
        image.check_memory(_MASK_BYTES, purpose="its mask")

        def probabilities(crops: Tensor) -> Tensor:
            logits, image_sizes = self._logits([self.transform.fit(crop) for crop in crops])
            sizes = image_sizes.new_tensor([crops.shape[2:]] * len(crops))
            return torch.stack(restore_logits(logits, image_sizes, sizes)).softmax(dim=1)

        window = self.window or image.size
        mask = sliding_window_inference(
            probabilities, image, window=window, overlap=self.overlap, on_progress=on_progress
        )
        return {"mask": mask}

    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """The truth is a mask; its ignored pixels are ignored in the prediction too."""
        for position, image in self.images(dataset, count):
            try:
                truth = dataset.mask(position)
            except UserError:
                continue
            (prediction,) = self.predict([self.prepare(image)])
            mask = prediction["mask"].masked_fill(truth == IGNORE_INDEX, IGNORE_INDEX)
            yield {"image": dataset.image(position), "truth": truth, "prediction": {"mask": mask}}

    @torch.inference_mode()
    def _logits(self, fitted: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (B, K, H, W) float32 of resized images, and their sizes (B, 2) without padding."""
        images, image_sizes = (tensor.to(self.device) for tensor in self.transform.pad_batch(fitted))
        with autocast(self.device, self.precision):
            outputs = self.model(images, image_sizes)
        return outputs["logits"].float(), image_sizes
