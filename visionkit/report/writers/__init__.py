"""The writers of result files of predictions, one per task."""
