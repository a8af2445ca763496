"""Data sets that a person hands over as Python objects."""
