"""One run: its validated configuration, its folder, its weights, and the environment it was made in."""
