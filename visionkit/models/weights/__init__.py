"""Weights of whole models: files of visionkit, and conversion from and to torchvision's layouts."""
