"""A run's model as a file for other programs, proved to give what the run gives."""
