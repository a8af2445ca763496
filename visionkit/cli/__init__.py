"""The command line, and the only room that knows Hydra: from a verb and overrides to a plain configuration."""
