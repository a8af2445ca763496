"""Semantic segmentation heads: decoders built from named parts."""
