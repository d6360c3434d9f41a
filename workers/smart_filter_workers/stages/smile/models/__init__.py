"""The models of the smile stage: one file each, with its `CARD` and `load`."""
