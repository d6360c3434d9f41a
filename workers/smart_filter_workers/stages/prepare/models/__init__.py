"""The models of the prepare stage: one file each, with its `CARD` and `load`.

Called by training.
Calls networks, shared.
"""
