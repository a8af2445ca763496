"""Batches out of samples, one file per kind of target; the keys and shapes of each stand at the top of its file."""
