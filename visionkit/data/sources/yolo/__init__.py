"""YOLO: a text file per image."""
