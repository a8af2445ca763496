"""Classification heads: one score per class and image."""
