"""The models of the face stage: one file each, with its `CARD` and `load`.

Called by live, training.
Calls networks, shared, weights.
"""
