"""Lightning callbacks of a training: progress, checkpoints and history, divergence, interruption, scores."""
