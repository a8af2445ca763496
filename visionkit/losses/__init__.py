"""Losses that torch lacks, as pure functions of predictions and targets, and the registries that name them."""
