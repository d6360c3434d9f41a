"""The models of the composite stage: one file each, with its `CARD` and `load`.

Called by stages.composite.look, training, live.
Calls shared, stages.composite.edges.
"""
