"""The torchmetrics collection of each task."""
