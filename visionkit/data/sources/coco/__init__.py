"""COCO: one JSON file per split."""
