"""Segmentation: say which pixels are people."""
