"""Finders of settings that depend on network, data and machine: the learning rate, and the size of a batch."""
