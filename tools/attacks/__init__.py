"""The crafted files of `tools/attack.py`, one file per family, and the process that each case is read in."""
