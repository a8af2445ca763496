"""The plots of a run that depend on its task: training batch, metric tables, example predictions."""
