"""Killing runs at random moments: the parts of `tools/crash_test.py`."""
