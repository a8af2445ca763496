"""Cityscapes: street scenes with a mask of label ids each."""
