"""The models of the segmentation stage: one file each, with its `CARD` and `load`."""
