"""The handwritten digits that scikit-learn ships, alone and in scenes."""
