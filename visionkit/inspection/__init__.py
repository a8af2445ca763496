"""Analysis of a network by arithmetic: layers, totals, memory, receptive fields, explanations and warnings."""
