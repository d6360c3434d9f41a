"""The models of the smile stage: one file each, with its `CARD` and `load`.

Called by training.
Calls networks, shared, wire.
"""
