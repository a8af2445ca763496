"""What happens beside a training step: progress, checkpoints, the table of epochs, interruption."""
