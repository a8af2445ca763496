"""What a model says of an image, as a person holds it: one class per kind of prediction, NumPy inside."""

from visionkit.inference.predictions.base import Prediction
from visionkit.inference.predictions.classification import Classification, LabelSet
from visionkit.inference.predictions.objects import Detections, Instances
from visionkit.inference.predictions.segmentation import Segmentation

__all__ = ["Classification", "Detections", "Instances", "LabelSet", "Prediction", "Segmentation"]
