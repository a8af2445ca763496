"""A folder of images per class."""
