"""Two-stage detectors: Faster R-CNN and Mask R-CNN."""
