"""Training: settings, optimizers, the Trainer and its callbacks, checkpoints and run folders."""
