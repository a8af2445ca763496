"""The plots of a run, and the writers of result files of predictions."""
