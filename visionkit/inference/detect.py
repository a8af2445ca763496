"""Inference of detection and instance segmentation: boxes, and masks from models that predict them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from visionkit.data.images import LoadedImage
from visionkit.inference.base import Example, Inference, Prediction, autocast
from visionkit.inference.predictions.objects import Detections, Instances
from visionkit.structures.boxes import rescale_boxes
from visionkit.structures.rle import paste_masks

__all__ = ["DetectInference", "InstanceInference"]


class DetectInference(Inference):
    """Predictions are ``boxes`` float32 (n, 4) xyxy, ``labels`` int64 (n,), ``scores`` float32 (n,), highest first."""

    batch_limit = 16
    prediction_class = Detections

    def check_options(self) -> None:
        self.options.allow("min_score", reason="this run looks at each image as a whole.")

    def prepare(self, image: LoadedImage) -> LoadedImage:
        return image

    @torch.inference_mode()
    def predict(self, prepared: Sequence[LoadedImage]) -> list[Prediction]:
        fitted, sizes = zip(*prepared, strict=True)
        images, image_sizes = (tensor.to(self.device) for tensor in self.transform.pad_batch(fitted))
        with autocast(self.device, self.precision):
            outputs = self.model.predict(self.model(images, image_sizes), image_sizes)
        original = torch.tensor([tuple(size) for size in sizes], device=self.device)
        outputs = {**outputs, "boxes": rescale_boxes(outputs["boxes"].float(), image_sizes, original)}
        outputs = {
            name: (value.float() if value.is_floating_point() else value).cpu() for name, value in outputs.items()
        }
        predictions: list[Prediction] = []
        for i, (height, width) in enumerate(sizes):
            present = outputs["labels"][i] >= 0
            prediction: Prediction = {name: value[i][present] for name, value in outputs.items()}
            if "mask_logits" in prediction:
                logits = prediction.pop("mask_logits")
                prediction["masks"] = paste_masks(logits, prediction["boxes"], (height, width))
            predictions.append(prediction)
        return predictions

    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """The truth is like a prediction without scores, with ``crowd`` (m, 4), the boxes of crowds."""
        for position, image in self._images(dataset, count):
            (prediction,) = self.predict([self.prepare(image)])
            height, width = image.size
            annotation = dataset.annotation(position)
            single = annotation.select(~annotation.crowd)
            truth: Prediction = {name: torch.from_numpy(getattr(single, name)) for name in ("boxes", "labels")}
            if "masks" in prediction:
                truth["masks"] = single.rles(height, width)
            truth["crowd"] = torch.from_numpy(annotation.boxes[annotation.crowd])
            yield {"image": dataset.image(position), "truth": truth, "prediction": prediction}


class InstanceInference(DetectInference):
    """As `DetectInference`, with ``masks``: n `visionkit.structures.rle.RunLengths`."""

    prediction_class = Instances
