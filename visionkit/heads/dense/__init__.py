"""Dense one-stage detectors: FCOS and RetinaNet."""
