"""Inference of detection and instance segmentation: boxes, and masks from models that predict them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from visionkit.data.image_rows import ImageRows
from visionkit.data.images import LoadedImage
from visionkit.inference.base import Example, Inference, Outputs, autocast
from visionkit.inference.merge_windows import WindowPrediction, merge_windows
from visionkit.inference.notes import EXACT
from visionkit.inference.predictions.objects import Detections, Instances
from visionkit.inference.sliding_window import OnProgress, count_windows, sliding_windows
from visionkit.models.onnx_model import CONVERGED
from visionkit.structures.boxes import rescale_boxes
from visionkit.structures.rle import paste_masks

__all__ = ["DetectInference", "InstanceInference"]


class DetectInference(Inference):
    """Predictions are ``boxes`` float32 (n, 4) xyxy, ``labels`` int64 (n,), ``scores`` float32 (n,), highest first."""

    batch_limit = 16
    prediction_class = Detections
    has_windows = True

    def check_options(self) -> None:
        self.options.allow("min_score", "window", "overlap", "max_detections", reason="this run finds objects.")

    @property
    def max_detections(self) -> int | None:
        own: int | None = getattr(getattr(self.model, "head", self.model), "max_detections", None)
        return self.options.max_detections or own

    def prepare(self, image: LoadedImage) -> LoadedImage:
        return image

    def predict(self, prepared: Sequence[LoadedImage]) -> list[Outputs]:
        detected, exact = self._detect(prepared)
        predictions = [self._cut(prediction) for prediction in detected]
        for prediction, (_, size), is_exact in zip(predictions, prepared, exact, strict=True):
            _paste(prediction, size)
            if not is_exact:
                prediction[EXACT] = False
        return predictions

    def predict_windows(self, image: ImageRows, *, on_progress: OnProgress = lambda done, total: None) -> Outputs:
        """See the base class; what several windows show of one object is merged, see `merge_windows`."""
        found: list[WindowPrediction] = []
        all_exact = True
        window = self.window or image.size
        total = count_windows(image.size, window=window, overlap=self.overlap)
        for corners, crops in sliding_windows(image, window=window, overlap=self.overlap):
            on_progress(len(found), total)
            size = (crops.shape[2], crops.shape[3])
            fitted = [LoadedImage(self.transform.fit(crop), size) for crop in crops]
            detected, exact = self._detect(fitted)
            all_exact = all_exact and all(exact)
            found += [
                WindowPrediction((int(left), int(top)), size, prediction)
                for (left, top), prediction in zip(corners, detected, strict=True)
            ]
        on_progress(total, total)
        prediction = self._cut(merge_windows(found, image.size))
        _paste(prediction, image.size)
        if not all_exact:
            prediction[EXACT] = False
        return prediction

    def _cut(self, prediction: Outputs) -> Outputs:
        """The objects of the highest scores, which come first."""
        return {name: value[: self.max_detections] for name, value in prediction.items()}

    def is_cut(self, prediction: Outputs) -> bool:
        if self.max_detections is None or len(prediction["labels"]) < self.max_detections:
            return False
        from visionkit.report.drawing.detect import MIN_SCORE

        least = MIN_SCORE if self.options.min_score is None else self.options.min_score
        return float(prediction["scores"][-1]) >= least

    @torch.inference_mode()
    def _detect(self, images: Sequence[LoadedImage]) -> tuple[list[Outputs], list[bool]]:
        """As `predict`, with ``mask_logits`` (n, S, S) instead of masks; and of which images suppression was exact."""
        fitted, sizes = zip(*images, strict=True)
        batch, image_sizes = (tensor.to(self.device) for tensor in self.transform.pad_batch(fitted))
        with autocast(self.device, self.precision):
            outputs = self.model.predict(self.model(batch, image_sizes), image_sizes)
        exact = outputs.pop(CONVERGED, outputs["labels"].new_ones(len(images))).bool().tolist()
        original = torch.tensor([tuple(size) for size in sizes], device=self.device)
        outputs = {**outputs, "boxes": rescale_boxes(outputs["boxes"].float(), image_sizes, original)}
        outputs = {
            name: (value.float() if value.is_floating_point() else value).cpu() for name, value in outputs.items()
        }
        present = outputs["labels"] >= 0
        return [{name: value[i][present[i]] for name, value in outputs.items()} for i in range(len(sizes))], exact

    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """The truth is like a prediction without scores, with ``crowd`` (m, 4), the boxes of crowds."""
        for position, image in self.images(dataset, count):
            (prediction,) = self.predict([self.prepare(image)])
            height, width = image.size
            annotation = dataset.annotation(position)
            single = annotation.select(~annotation.crowd)
            truth: Outputs = {name: torch.from_numpy(getattr(single, name)) for name in ("boxes", "labels")}
            if "masks" in prediction:
                truth["masks"] = single.rles(height, width)
            truth["crowd"] = torch.from_numpy(annotation.boxes[annotation.crowd])
            yield {"image": dataset.image(position), "truth": truth, "prediction": prediction}


class InstanceInference(DetectInference):
    """As `DetectInference`, with ``masks``: n `visionkit.structures.rle.RunLengths`."""

    prediction_class = Instances


def _paste(prediction: Outputs, size: tuple[int, int]) -> None:
    """Turn the ``mask_logits`` of a prediction, if there are any, into masks of the size of the image."""
    if "mask_logits" in prediction:
        prediction["masks"] = paste_masks(prediction.pop("mask_logits"), prediction["boxes"], size)
