"""Initial weights of backbones: finding, downloading, renaming and loading them."""
