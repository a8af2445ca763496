"""The metrics of each task, built on torchmetrics: collections of its metrics, and what torchmetrics lacks.

Its own are: COCO's evaluation of boxes and masks in one pass for all classes, gathering over processes of which some
have no samples, and tables. The registry `visionkit.metrics.spec.METRICS` has those that a user may add.
"""
