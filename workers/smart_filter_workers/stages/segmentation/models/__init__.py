"""The models of the segmentation stage: one file each, with its `CARD` and `load`.

Called by live, models, stages.segmentation.mattes, stages.segmentation.people, training.
Calls networks, shared, stages.segmentation.mattes, stages.segmentation.people, weights.
"""
