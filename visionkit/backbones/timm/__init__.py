"""Models of timm as backbones: specification, measurement of their shapes, and module."""
