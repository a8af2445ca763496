"""Plots drawn with matplotlib: curves, confusion matrix, precision over recall, grids of images."""
