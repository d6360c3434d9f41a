"""Join, correct and sharpen mattes.

Called by stages.segmentation.models, training, live.
Calls networks.coverage, networks, stages.segmentation.models, stages.segmentation.people,
shared, wire.
"""
