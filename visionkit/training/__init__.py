"""Training and evaluation of runs: setup, fit, optimizers, schedules, Lightning's Trainer, callbacks, workers."""
