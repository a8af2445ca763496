"""Predictions of a trained model on images as they were decoded: one file per task, and sliding windows."""
