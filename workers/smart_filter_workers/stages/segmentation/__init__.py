"""Segmentation stage: find the pixels that show people."""
