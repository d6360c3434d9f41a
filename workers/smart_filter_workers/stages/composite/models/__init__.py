"""The models of the composite stage: one file each, with its `CARD` and `load`.

Called by live, stages.composite.look, training.
Calls backgrounds, shared, stages.composite.edges.
"""
