"""Find the persons in a picture, tell them apart, and select those to keep.

Called by stages.segmentation.mattes, stages.segmentation.models.
Calls networks, shared, stages.segmentation.models, wire.
"""
