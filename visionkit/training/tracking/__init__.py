"""Lightning's loggers with what a run has besides metrics: settings, results, pictures, and an end."""
