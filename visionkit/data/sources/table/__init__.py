"""A table of images and their labels, as CSV or Parquet."""
