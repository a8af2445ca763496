"""The command line: the one place that knows Hydra. A verb and overrides in, a validated run out."""
