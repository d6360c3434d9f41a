"""The models of the composite stage: one file each, with its `CARD` and `load`."""
