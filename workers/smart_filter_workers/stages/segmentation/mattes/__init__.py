"""Join, correct and sharpen mattes.

Called by live, stages.segmentation.models, training.
Calls networks, shared, stages.segmentation.models, stages.segmentation.people, wire.
"""
