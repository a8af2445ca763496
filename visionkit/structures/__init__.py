"""Boxes, masks and run-length encodings as tensors: pure functions without state."""
