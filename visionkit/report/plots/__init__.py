"""Plots drawn with matplotlib: curves of runs and sweeps, confusion matrix, precision over recall."""
