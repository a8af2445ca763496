"""The forms that tools/convert_dataset.py writes."""
