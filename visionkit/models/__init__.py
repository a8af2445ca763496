"""Whole models: normalisation, backbone, neck and head as one torch module, usable without Lightning."""

from visionkit.models.create import create_model
from visionkit.models.folding import fold_norms
from visionkit.models.vision_model import VisionModel
from visionkit.models.weights.load import convert_state_dict, load_model_weights

__all__ = ["VisionModel", "convert_state_dict", "create_model", "fold_norms", "load_model_weights"]
